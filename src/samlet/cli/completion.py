"""`samlet completion`: the words of the command line, for a shell."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from samlet.cli import make_app


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell.")], /) -> None:
    """Print a script that completes verbs, options and their choices.

    bash: samlet completion bash > ~/.local/share/bash-completion/completions/samlet. zsh: into a file named _samlet in
    a folder of $fpath. fish: into ~/.config/fish/completions/samlet.fish. Then open a new shell.
    """
    print(make_app().generate_completion(prog_name="samlet", shell=shell))
