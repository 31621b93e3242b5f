"""Options that count refuse fractions, every one of the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cyclopts import App

from samlet.cli import make_app
from samlet.cli.options.whole import check_argument, check_whole, takes_several, takes_whole
from samlet.errors import InputError


def commands(app: App, words: tuple[str, ...] = ()) -> Iterator[tuple[App, tuple[str, ...]]]:
    """Every command below, with the words that name it."""
    for name in app:
        if not name.startswith("-"):
            yield from commands(app[name], (*words, name))
    if app.default_command is not None:
        yield app, words


def test_every_count_of_every_verb_refuses_a_fraction() -> None:
    app = make_app()
    tried = set()
    for command, words in commands(app):
        for argument in command.assemble_argument_collection():
            if not takes_whole(argument.hint) or not argument.names:
                continue
            with pytest.raises(InputError, match=f"2.5.*{argument.names[0]}: it must be a whole number"):
                check_argument(argument, [argument.names[0], "2.5"])
            tried.add((*words, argument.names[0]))
    assert {
        ("segment", "--threads"),
        ("bench", "everything", "--points-per-side"),
        ("train", "rpn", "--steps"),
    } <= tried


@pytest.mark.parametrize(
    "words",
    [
        ["segment", "2.5.jpg", "--threads", "2", "--min-area", "2.5"],
        ["everything", "a.jpg", "--threads", "2.0"],  # whole
        ["segment", "a.jpg", "--threads", "two"],  # cyclopts says that
        ["segment", "--threads"],
        ["segment", "--threads", "2.5", "--help"],
        ["nothing"],
        [],
    ],
)
def test_anything_else_is_left_to_the_command(words: list[str]) -> None:
    check_whole(make_app(), words)


def test_the_command_line_says_so(refused) -> None:
    assert '"2.5" for --threads: it must be a whole number' in refused("segment", "a.jpg", "--threads", "2.5")


@pytest.mark.parametrize(
    ("hint", "whole", "several"),
    [
        (int, True, False),
        (int | None, True, False),
        (tuple[int, int] | None, True, True),
        (list[int], True, True),
        (float, False, False),
        (int | float, False, False),
        (bool, False, False),
        (str, False, False),
    ],
)
def test_what_counts(hint, whole: bool, several: bool) -> None:
    assert (takes_whole(hint), takes_several(hint)) == (whole, several)


def test_one_word_will_do() -> None:
    with pytest.raises(InputError, match=r"-0\.5.*--threads"):
        check_whole(make_app(), ["segment", "--threads=-0.5"])


def test_several_numbers_are_all_looked_at() -> None:
    app = App()

    @app.default
    def command(*, side: tuple[int, int] = (1, 2)) -> None: ...

    with pytest.raises(InputError, match=r"1\.5"):
        check_whole(app, ["--side", "1", "1.5"])


def test_without_a_fraction_the_options_are_not_assembled_twice(monkeypatch) -> None:
    monkeypatch.setattr(App, "parse_commands", None)
    check_whole(make_app(), ["everything", "a.jpg", "--threads", "2", "--output=out"])
