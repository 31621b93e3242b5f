"""The command line: one module per verb, imported when the verb is used.

`samlet --help` is plain text and loads nothing, not even the command-line library. Whatever is wrong with the input
ends in one sentence on stderr and exit code 2, in 3 where it was allowed to be passed over; an interrupt in code 130,
another signal that long work heeds in 128 and its number; a defect of samlet in one sentence and code 1.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING

from samlet import __version__
from samlet.errors import InputError, PassedOverError, SamletError, StoppedError

if TYPE_CHECKING:
    from cyclopts import App

BAD_INPUT = 2
DEFECT = 1
PASSED_OVER = 3
INTERRUPTED = 130
STOPPED = 128  # plus the number of the signal, as shells do

# Verb, where it lives, and its line in the help, which stands here so that the help need not import the module.
VERBS = (
    ("segment", "samlet.cli.segment:segment", "Cut objects out of images with points and boxes."),
    ("everything", "samlet.cli.everything:everything", "Find everything in photos, without prompts."),
    ("label", "samlet.cli.label:app", "Find masks in any number of images, restartable."),
    ("classify", "samlet.cli.classify:classify", "Say what is in photos."),
    ("parse", "samlet.cli.parse:parse", "Say what each pixel of a photo is."),
    ("models", "samlet.cli.models:app", "List the models; pull or import their weights."),
    ("train", "samlet.cli.train:app", "Train a smaller model from a larger one, or on masks."),
    ("export", "samlet.cli.export:export", "Write a model as files that run without torch."),
    ("eval", "samlet.cli.eval:app", "Measure how good a model's masks are, by the papers' protocols."),
    ("bench", "samlet.cli.bench:app", "Measure how fast models are on this machine."),
    ("app", "samlet.cli.app:app", "Open a page where photos are segmented by clicking."),
    ("serve", "samlet.cli.serve:serve", "Answer over HTTP, for other tools and many users at once."),
    ("doctor", "samlet.cli.doctor:doctor", "Say what this machine can run, and why not."),
    ("completion", "samlet.cli.completion:completion", "Print what makes a shell complete samlet's words."),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _start(words)
    except StoppedError as error:
        return _fail(str(error), STOPPED + error.signal_number)
    except PassedOverError as error:
        return _fail(str(error), PASSED_OVER)
    except SamletError as error:
        return _fail(str(error), BAD_INPUT)
    except KeyboardInterrupt:
        return _fail("Interrupted.", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone, as in `samlet models | head`. Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DEFECT
    except OSError as error:  # a name that is too long, a folder that nobody may enter
        where = f'"{error.filename}": ' if error.filename else ""
        return _fail(f"{where}{error.strerror or error}.", BAD_INPUT)
    except Exception as error:  # a user never sees a traceback; `python -X dev` shows it
        if sys.flags.dev_mode:
            raise
        return _fail(f"This is a defect of samlet, please report it ({type(error).__name__}: {error}).", DEFECT)
    return 0


def _start(words: list[str]) -> None:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files need not be text: give them back as they came
    if not words or words[0] in ("--help", "-h"):
        print(help_text())
    elif words[0] == "--version":
        print(f"samlet {__version__}")
    else:
        _run(words)
    sys.stdout.flush()


def help_text() -> str:
    """Return what `samlet --help` prints."""
    width = max(len(name) for name, _, _ in VERBS)
    verbs = "\n".join(f"  {name:{width}}  {line}" for name, _, line in VERBS)
    return (
        "Promptable segmentation, fast and practical on the hardware people have.\n\n"
        f"Usage: samlet VERB ...\n\n{verbs}\n\n"
        "`samlet VERB --help` tells the options of a verb; `samlet --version` the version."
    )


def make_app() -> App:
    """The command-line application; its verbs are imported when they are used."""
    from cyclopts import App, Parameter

    # No --no-… twins, no --empty-… lists, no "[default: False]" in the help.
    app = App(
        name="samlet",
        help_format="plaintext",
        default_parameter=Parameter(negative=(), show_default=False),
        suppress_keyboard_interrupt=False,
    )
    for name, home, line in VERBS:
        app.command(home, name=name, help=line)
    return app


def _run(words: list[str]) -> None:
    """Run a verb; what cannot be understood becomes an `InputError`."""
    from cyclopts import CycloptsError
    from cyclopts.exceptions import UnknownCommandError, UnusedCliTokensError

    from samlet.cli.options.whole import check_whole

    app = make_app()
    try:
        check_whole(app, words)
        app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except (UnknownCommandError, UnusedCliTokensError) as error:
        # Cyclopts' own sentence would import every verb to look for similar names.
        unknown = " ".join(error.unused_tokens or [])
        raise InputError(f'"{unknown}" is no command or argument here: --help lists what there is.') from error
    except CycloptsError as error:
        raise InputError(str(error)) from error


def _fail(message: str, code: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code
