"""A picture of how runs went: the losses and the learning rate over the steps, from their logs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from samlet.errors import TrainingError
from samlet.files import write_aside
from samlet.marks import PNG_SOFTWARE, check_ours, is_our_png
from samlet.reading import reading
from samlet.training.loop.checkpoint import LOG
from samlet.training.loop.log import VALIDATION

SMOOTHED_OVER = 10  # log rows
PANELS_A_LINE = 3
FEW = 20  # values that a line alone would hardly show, are points as well
NOT_LOSSES = ("step", "loss", "grad_norm", "learning_rate", "memory_mib", "seconds")


def read_log(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's log; TrainingError if the folder holds none. A row cut short by a kill is left out."""
    path = folder / LOG
    if not path.is_file():
        raise TrainingError(f"{folder} holds no {LOG}: give the --output folder of a run.")
    rows: dict[int, dict[str, float]] = {}
    with reading(path, "the log of a run", TrainingError):
        lines = path.read_text(encoding="utf-8").splitlines()
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not (isinstance(row, dict) and "step" in row and all(isinstance(v, (int, float)) for v in row.values())):
            raise TrainingError(f"{path} is damaged: {line[:60]!r} is not a line of a run's log.")
        rows[row["step"]] = {**rows.get(row["step"], {}), **row}
    if not rows:
        raise TrainingError(f"{path} is empty: the run has not come far enough.")
    return [rows[step] for step in sorted(rows)]


def draw_curves(folders: Sequence[Path], output: Path) -> None:
    """One panel a run, written to `output` (.png): each loss, faint as logged and strong smoothed.

    OutputError if a file lies there that samlet did not write.
    """
    from matplotlib.figure import Figure

    check_ours([output], is_our_png)
    logs = [read_log(folder) for folder in folders]
    lines, columns = -(-len(logs) // PANELS_A_LINE), min(len(logs), PANELS_A_LINE)
    figure = Figure(figsize=(6 * columns, 4 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in panels[len(logs) :]:
        axes.remove()
    for axes, folder, rows in zip(panels[: len(logs)], folders, logs, strict=True):
        for name in dict.fromkeys(name for row in rows for name in row if name not in NOT_LOSSES):
            steps, values = zip(*((row["step"], row[name]) for row in rows if name in row), strict=True)
            marker = "o" if len(values) < FEW or name == VALIDATION else None
            (line,) = axes.plot(steps, values, alpha=0.25, linewidth=0.8, marker=marker, markersize=3)
            axes.plot(steps, _smooth(np.array(values)), color=line.get_color(), label=name)
        axes.set(title=folder.name, xlabel="step", ylabel="loss", yscale="log")
        axes.grid(alpha=0.3)
        axes.legend()
    with write_aside(output) as aside:
        figure.savefig(aside, dpi=110, format="png", metadata={"Software": PNG_SOFTWARE})


def _smooth(values: np.ndarray) -> np.ndarray:
    """The mean of each value and up to `SMOOTHED_OVER` - 1 before it."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - SMOOTHED_OVER, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)
