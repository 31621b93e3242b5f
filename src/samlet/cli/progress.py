"""Bars of progress: one look for all verbs, on stderr, because stdout belongs to the results."""

from __future__ import annotations

from typing import Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


def progress_bars(
    counted: Literal["items", "bytes"] = "items", *, kept: bool = False, shown: bool | None = None
) -> Progress:
    """A `rich` Progress, to be used as a context: description, bar, how much of how much, time gone and time left.

    `kept`: whether the bars stay on the screen when all is done. `shown`: whether there are any; by default on a
    terminal only.
    """
    console = Console(stderr=True)
    amounts: tuple[ProgressColumn, ...] = (
        (MofNCompleteColumn(), TimeElapsedColumn()) if counted == "items" else (DownloadColumn(), TransferSpeedColumn())
    )
    return _Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *amounts,
        TimeRemainingColumn(),
        console=console,
        transient=not kept,
        disable=not (console.is_terminal if shown is None else shown),
    )


class _Bars(Progress):
    def stop(self) -> None:
        # Off a terminal, rich before version 15 ends what it never showed with an empty line.
        if not self.disable:
            super().stop()
