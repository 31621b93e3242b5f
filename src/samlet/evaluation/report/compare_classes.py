"""Two or more reports of classes, of images or of pixels, side by side: paired bootstrap intervals over images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.errors import DataError, InputError
from samlet.evaluation.report.compare import Difference, check_protocol, difference_of, draws, named
from samlet.evaluation.report.summary import REPORT_FILE, measures_classes, read_report
from samlet.evaluation.results import LOG_FILE, ImageResult, read_results


@dataclass(frozen=True)
class ClassRow:
    """One report beside the first: what it measured, `metric` (top-1 or mIoU), and the difference to the first's.

    None for the first itself.
    """

    folder: Path
    report: dict[str, Any]
    metric: str
    value: float | None
    difference: Difference | None


def compare_classes(folders: Sequence[Path]) -> list[ClassRow]:
    """The reports in `folders`, each against the first.

    Raises InputError for fewer than two, another protocol, other classes or images; DataError for a damaged one.
    """
    if len(folders) < 2:
        raise InputError("A comparison needs at least two folders that samlet eval has written.")
    reports = [_read(folder) for folder in folders]
    results = [{result.name: result for result in read_results(folder / LOG_FILE)} for folder in folders]
    first = reports[0]
    for folder, report, found in zip(folders[1:], reports[1:], results[1:], strict=True):
        check_protocol(folders[0], first, folder, report)
        _check_same(folders[0], first, results[0], folder, report, found)
    metric = "mIoU" if "miou" in first["metrics"] else "top-1"
    values = [report["metrics"].get("miou" if metric == "mIoU" else "top_1") for report in reports]
    names = sorted(results[0])
    drawn = draws(len(names), np.random.default_rng(0))
    classes = len(first["metrics"]["per_class"])
    scores = [_scores([found[name] for name in names], drawn, classes, metric) for found in results]
    gains = [None, *(difference_of(score - scores[0]) for score in scores[1:])]
    return [ClassRow(*row) for row in zip(folders, reports, [metric] * len(folders), values, gains, strict=True)]


def _scores(results: Sequence[ImageResult], drawn: NDArray[np.int64], classes: int, metric: str) -> NDArray[np.float64]:
    """The metric of every draw [D] of images; a class that a draw lacks does not count in it."""
    if metric == "top-1":
        hits = np.array([result.ranked[:1] == (result.label,) for result in results], np.float64)
        return drawn @ hits / drawn.sum(axis=1)
    counts = np.zeros((len(results), 2, classes))  # intersection and union of each class in each image
    for row, result in enumerate(results):
        for true, answer, pixels in result.confusion:
            counts[row, 1, true] += pixels
            if true == answer:
                counts[row, 0, true] += pixels
            else:
                counts[row, 1, answer] += pixels
    hits, union = np.moveaxis((drawn @ counts.reshape(len(results), -1)).reshape(len(drawn), 2, classes), 1, 0)
    present = union > 0
    return np.where(present, hits / np.maximum(union, 1), 0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)


def _read(folder: Path) -> dict[str, Any]:
    report = read_report(folder)
    if not measures_classes(report):
        raise InputError(f"{folder} measured masks, and the first folder classes: compare like with like.")
    if not isinstance(report.get("protocol"), dict) or not isinstance(report["metrics"]["per_class"], dict):
        raise DataError(f"{folder / REPORT_FILE} is damaged: run samlet eval again, it goes on from its log.")
    return report


def _check_same(
    first_folder: Path,
    first: dict[str, Any],
    ours: dict[str, ImageResult],
    folder: Path,
    report: dict[str, Any],
    theirs: dict[str, ImageResult],
) -> None:
    cannot = f"{folder} and {first_folder} cannot be compared: {folder}"
    if list(first["metrics"]["per_class"]) != list(report["metrics"]["per_class"]):
        raise InputError(f"{cannot} was measured with a model of other classes.")
    parts = [
        named("without", sorted(ours.keys() - theirs.keys())),
        named("with", sorted(theirs.keys() - ours.keys()), "more"),
        named("with other content in", sorted(n for n in ours.keys() & theirs if ours[n].content != theirs[n].content)),
    ]
    if any(parts):
        raise InputError(f"{cannot} was measured on other images: {', '.join(filter(None, parts))}.")
