"""Accuracy against latency: a point for each report of `samlet eval` and each way its weights were timed.

    samlet bench MODEL... --output bench.json
    python benchmarks/accuracy_latency.py bench.json REPORT_FOLDER... --output accuracy-latency.png

A report and a timing belong together if the sha256 of their weights is the same. Prints a table and one JSON line.
Needs pip install "samlet[train]" for matplotlib.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cyclopts

from samlet.cli.tables import print_table
from samlet.errors import InputError
from samlet.evaluation import read_report
from samlet.files import write_aside


def accuracy_latency(
    bench: Path, *reports: Path, output: Path = Path("accuracy-latency.png"), figure: str = "encode"
) -> None:
    """Draw mIoU against the time of a step.

    Parameters
    ----------
    bench: what `samlet bench --output` wrote.
    reports: folders that `samlet eval` wrote, all by one protocol and on the same masks.
    output: the picture (.png).
    figure: which of the figures of the benchmark to draw.
    """
    points = join(
        json.loads(bench.read_text(encoding="utf-8"))["targets"], [read_report(path) for path in reports], figure
    )
    draw(points, figure, output)
    rows = [[point["name"], f"{point['median']:.1f}", f"{point['miou']:.1%}"] for point in points]
    print_table([("", "left"), (f"{figure} ({points[0]['unit']})", "right"), ("mIoU", "right")], rows)
    print(json.dumps({"benchmark": "accuracy_latency", "figure": figure, "points": points}))


def join(targets: Sequence[dict[str, Any]], reports: Sequence[dict[str, Any]], figure: str) -> list[dict[str, Any]]:
    """Name, time and mIoU of each target that was timed and measured, quickest first.

    InputError if the reports are of different measurements, or no target of a report was timed.
    """
    if len({(json.dumps(report["protocol"]), report["samples_sha256"]) for report in reports}) != 1:
        raise InputError("Give one report or more, all of the same protocol and masks: their accuracies are compared.")
    points = []
    for report in reports:
        timed = [target for target in targets if target["weights_sha256"] == report["weights_sha256"]]
        timed = [target for target in timed if figure in target["figures"]]
        if not timed:
            raise InputError(f'No "{figure}" of the weights of {report["model"]}, as it was measured, has been timed.')
        points += [{"name": t["name"], "miou": report["metrics"]["miou"]["all"]} | t["figures"][figure] for t in timed]
    return sorted(points, key=lambda point: point["median"])


def draw(points: Sequence[dict[str, Any]], figure: str, output: Path) -> None:
    """Medians with their spread, time on a logarithmic axis."""
    from matplotlib.figure import Figure

    picture = Figure(figsize=(7, 4.5), layout="constrained")
    axes = picture.subplots()
    for point in points:
        middle, percent = point["median"], 100 * point["miou"]
        spread = [[middle - point["p10"]], [point["p90"] - middle]]
        axes.errorbar(middle, percent, xerr=spread, fmt="o", capsize=3, label=point["name"])
    axes.set(xlabel=f"{figure} ({points[0]['unit']})", ylabel="mIoU (%)", xscale="log")
    axes.margins(x=0.1, y=0.2)
    picture.legend(loc="outside lower center", ncols=2, fontsize=8)  # beside the points, names would overlap
    axes.grid(alpha=0.3)
    with write_aside(output) as aside:
        picture.savefig(aside, dpi=130, format="png")


if __name__ == "__main__":
    cyclopts.run(accuracy_latency)
