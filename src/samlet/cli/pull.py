"""Weights that a verb needs are fetched alike by all verbs: told, asked for where somebody can answer, with a bar."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from samlet.cli.progress import progress_bars
from samlet.cli.tables import megabytes
from samlet.errors import MissingWeightsError, WeightsError
from samlet.hub import weights
from samlet.models.registry import get_spec
from samlet.spec import ModelSpec

Loaded = TypeVar("Loaded")


def with_weights(load: Callable[[], Loaded]) -> Loaded:
    """What `load` returns. Where only the published weights of a model are missing, they are fetched, then it is tried
    again: the model was named, its options fit together and its backend runs here.
    """
    try:
        return load()
    except MissingWeightsError as missing:
        spec = get_spec(missing.model)
        pull_with_progress(spec, ask=True)
        return load()


def pull_with_progress(spec: ModelSpec, *, ask: bool = False) -> Path:
    """Return the verified weights of a model; a download says on stderr what it fetches, and shows a bar.

    `ask`: first, on a terminal, whether to. WeightsError if the answer is no, or if they cannot be had.
    """
    console = Console(stderr=True)
    if weights.find(spec) is None and spec.checkpoint is not None and spec.checkpoint.sha256:
        console.print(_announcement(spec), markup=False, highlight=False, soft_wrap=True)
        if ask and _somebody_answers() and not _yes(console, f"Download {spec.checkpoint.file_name}?"):
            raise WeightsError(f"The weights of {spec.name} were not downloaded: `samlet models` lists what is here.")
    with progress_bars("bytes") as bars:
        bar = bars.add_task(spec.name, total=None, visible=False)

        def show(done_bytes: int, total_bytes: int | None) -> None:
            bars.update(bar, completed=done_bytes, total=total_bytes, visible=True)

        return weights.fetch(spec, show)


def _announcement(spec: ModelSpec) -> str:
    file = spec.checkpoint
    if file is None:
        return f"{spec.name} has no published weights."
    size = f", {megabytes(file.size_bytes)}" if file.size_bytes else ""
    return f"{file.file_name}{size}, {file.license}, sha256 {file.sha256}, from {' or '.join(weights.sources(spec))}"


def _somebody_answers() -> bool:
    """A terminal on both sides, and not one of several processes, all of which would ask."""
    return sys.stdin.isatty() and sys.stderr.isatty() and "RANK" not in os.environ


def _yes(console: Console, question: str) -> bool:
    from rich.prompt import Confirm

    return Confirm.ask(question, console=console, default=True)
