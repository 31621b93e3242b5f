"""The command line: one module per verb, imported when the verb is used.

`samlet --help` loads neither torch nor onnxruntime nor OpenCV. Whatever is wrong with the input ends in one sentence on
stderr and exit code 2; an interrupt is exit code 130; a defect of samlet itself is one sentence and exit code 1.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter
from cyclopts.exceptions import UnknownCommandError

from samlet import __version__
from samlet.errors import SamletError

BAD_INPUT = 2
DEFECT = 1
INTERRUPTED = 130

# Verb, where it lives, and its line in the help, which stands here so that the help need not import the module.
VERBS = (
    ("segment", "samlet.cli.segment:segment", "Cut objects out of images with points and boxes."),
    ("models", "samlet.cli.models:app", "List the models; pull or import their weights."),
    ("doctor", "samlet.cli.doctor:doctor", "Say what this machine can run, and why not."),
)

app = App(
    name="samlet",
    help="Promptable segmentation, fast and practical on the hardware people have.",
    version=f"samlet {__version__}",
    help_format="plaintext",
    # No --no-… twins, no --empty-… lists, no "[default: False]" in the help.
    default_parameter=Parameter(negative=(), show_default=False),
)
for _name, _home, _help in VERBS:
    app.command(_home, name=_name, help=_help)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit code."""
    try:
        app(
            list(sys.argv[1:] if arguments is None else arguments),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except UnknownCommandError as error:
        # Cyclopts' own sentence imports every verb to look for similar names.
        unknown = (error.unused_tokens or [""])[0]
        return _fail(f'There is no command "{unknown}": --help lists the commands.', BAD_INPUT)
    except (SamletError, CycloptsError) as error:
        return _fail(str(error), BAD_INPUT)
    except KeyboardInterrupt:
        return _fail("Interrupted.", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone, as in `samlet models | head`. Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DEFECT
    except Exception as error:  # a user never sees a traceback; `python -X dev` shows it
        if sys.flags.dev_mode:
            raise
        return _fail(f"This is a defect of samlet, please report it ({type(error).__name__}: {error}).", DEFECT)
    return 0


def _fail(message: str, code: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code
