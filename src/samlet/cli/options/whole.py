"""Options that count take whole numbers: cyclopts alone would round 2.5 to 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin

from samlet.errors import InputError

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.argument import Argument


def check_whole(app: App, words: Sequence[str]) -> None:
    """InputError if an option of the command that `words` name is to be a whole number and is given a fraction.

    Every option is looked at that a command declares as `int`, or as several of them, with nothing to be said there.
    """
    if {"--help", "-h"} & {*words}:  # a command of its own to cyclopts
        return
    if not any(_is_fraction(word.rpartition("=")[2]) for word in words):  # spares assembling the options twice
        return
    _, apps, rest = app.parse_commands(list(words))
    if apps[-1].default_command is None:
        return
    for argument in apps[-1].assemble_argument_collection():
        check_argument(argument, rest)


def check_argument(argument: Argument, words: Sequence[str]) -> None:
    """InputError if an argument is to be a whole number and the words after its command give it a fraction."""
    if takes_whole(argument.hint):
        for name, value in _given(words, argument.names, several=takes_several(argument.hint)):
            if _is_fraction(value):
                raise InputError(f'Invalid value "{value}" for {name}: it must be a whole number.')


def takes_whole(hint: Any) -> bool:
    """Whether a type is `int`, or is made of it and of no other number."""
    return hint is int or (any(map(takes_whole, get_args(hint))) and not _takes_float(hint))


def takes_several(hint: Any) -> bool:
    """Whether a type is a list or a tuple, or may be one."""
    return get_origin(hint) in (list, tuple) or any(map(takes_several, get_args(hint)))


def _takes_float(hint: Any) -> bool:
    return hint is float or any(map(_takes_float, get_args(hint)))


def _given(words: Sequence[str], names: Sequence[str], several: bool) -> list[tuple[str, str]]:
    """The option's name and value wherever it is given, as two words or as one."""
    joined = [word.partition("=") for word in words]
    found = [(name, value) for name, equals, value in joined if equals and name in names]
    for place, word in enumerate(words):
        if word in names:
            for value in words[place + 1 :]:
                if value.startswith("--"):
                    break
                found.append((word, value))
                if not several:
                    break
    return found


def _is_fraction(text: str) -> bool:
    try:
        return not float(text).is_integer()
    except (ValueError, OverflowError):  # what is no number at all is cyclopts' to refuse
        return False
