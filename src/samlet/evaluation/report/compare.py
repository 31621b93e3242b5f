"""Two or more reports of one measurement side by side, with paired bootstrap confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.errors import DataError, InputError
from samlet.evaluation.report.summary import REPORT_FILE, measures_classes, read_report
from samlet.evaluation.results import LOG_FILE, ImageResult, InstanceResult, read_results

DRAWS = 2000
_LONGEST_NAME = 100
_NAMED = 3  # of the images that differ


@dataclass(frozen=True)
class Difference:
    """How much better than the first report, in IoU: the measured difference and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One report beside the first: its metrics, and its differences.

    They are None for the first itself, and for average precision, which is no mean over images. `recall` are those of
    the average recalls of everything mode, in their order; empty for other protocols.
    """

    folder: Path
    report: dict[str, Any]
    miou: Difference | None
    mean_of_sources: Difference | None
    recall: tuple[Difference, ...] = ()


def compare(folders: Sequence[Path]) -> list[Row]:
    """The reports in `folders`, each against the first.

    Raises InputError for fewer than two, another protocol or other masks; DataError for a folder without a report.
    """
    if len(folders) < 2:
        raise InputError("A comparison needs at least two folders that samlet eval has written.")
    reports = [_read_masks(folder) for folder in folders]
    for folder, report in zip(folders[1:], reports[1:], strict=True):
        check_protocol(folders[0], reports[0], folder, report)
    results = [read_results(folder / LOG_FILE) for folder in folders]
    for folder, report, other in zip(folders[1:], reports[1:], results[1:], strict=True):
        difference = _data_difference(results[0], other, reports[0]["samples_sha256"] == report["samples_sha256"])
        if difference:
            raise InputError(
                f"{folder} and {folders[0]} cannot be compared: {folder} was measured on other images or masks: "
                f"{difference}."
            )
    for folder, other in zip(folders[1:], results[1:], strict=True):
        _check_measured(folders[0], results[0], folder, other)
    rows = [Row(folders[0], reports[0], None, None)]
    for folder, report, other in zip(folders[1:], reports[1:], results[1:], strict=True):
        if any(result.instances for result in results[0]):
            gains = differences(results[0], other)
            rows.append(Row(folder, report, *gains, recall_differences(results[0], other)))
        else:
            rows.append(Row(folder, report, None, None))
    return rows


def _read_masks(folder: Path) -> dict[str, Any]:
    """The report of a measurement of masks."""
    report = read_report(folder)
    if measures_classes(report):
        raise InputError(f"{folder} measured classes, and the first folder masks: compare like with like.")
    if not _is_whole(report):
        raise DataError(f"{folder / REPORT_FILE} is damaged: run samlet eval again, it goes on from its log.")
    return report


def recall_differences(first: Sequence[ImageResult], other: Sequence[ImageResult]) -> tuple[Difference, ...]:
    """`differences` of the average recalls, one for each number of masks looked at; none for other protocols."""
    steps = next(len(instance.recall) for result in first for instance in result.instances)
    values = (lambda instance, step=step: instance.recall[step] for step in range(steps))
    return tuple(differences(first, other, value)[0] for value in values)


def differences(
    first: Sequence[ImageResult],
    other: Sequence[ImageResult],
    value: Callable[[InstanceResult], float] = attrgetter("true_iou"),
) -> tuple[Difference, Difference]:
    """`other` minus `first`, measured on the same images: of the mean `value` of instances, and of the mean of sources.

    Images are drawn with replacement within each source, the same ones for both sides: masks of one image are not
    independent, and a source must not vanish from a draw.
    """
    by_name = {result.name: result for result in other}
    pairs = [(result, by_name[result.name]) for result in sorted(first, key=lambda result: result.name)]
    generator = np.random.default_rng(0)
    totals, source_gains = np.zeros((2, DRAWS + 1)), []
    for source in sorted({result.source for result in first}):
        gains = np.array([_gain(*pair, value) for pair in pairs if pair[0].source == source])
        sums = draws(len(gains), generator) @ gains
        totals += sums.T
        source_gains.append(sums[:, 0] / sums[:, 1])
    return difference_of(totals[0] / totals[1]), difference_of(np.mean(source_gains, axis=0))


def _gain(first: ImageResult, other: ImageResult, value: Callable[[InstanceResult], float]) -> tuple[float, int]:
    """Sum of the differences of an image's instances, and how many it has."""
    pairs = zip(first.instances, other.instances, strict=True)
    return sum(value(b) - value(a) for a, b in pairs), len(first.instances)


def draws(images: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """How often each image is drawn, [DRAWS + 1, images]; the first row is the measurement itself."""
    drawn = generator.multinomial(images, np.full(images, 1 / images), size=DRAWS)
    return np.concatenate([np.ones((1, images), np.int64), drawn])


def difference_of(values: NDArray[np.float64]) -> Difference:
    """The difference and its interval, of the measurement and of the draws behind it [DRAWS + 1]."""
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Difference(float(values[0]), float(low), float(high))


def _check_measured(
    first_folder: Path, first: Sequence[ImageResult], folder: Path, other: Sequence[ImageResult]
) -> None:
    """DataError if the logs are not of the same instances, which their reports say they are."""
    ours, theirs = (
        {result.name: [len(instance.recall) for instance in result.instances] for result in results}
        for results in (first, other)
    )
    if ours != theirs:
        raise DataError(
            f"{folder / LOG_FILE} and {first_folder / LOG_FILE} do not hold the same instances, though the reports "
            "say so: one of them is damaged, measure again."
        )


def check_protocol(first_folder: Path, first: dict[str, Any], folder: Path, report: dict[str, Any]) -> None:
    """InputError that names each setting that differs."""
    one, two = first["protocol"], report["protocol"]
    differing = [key for key in {**one, **two} if one.get(key) != two.get(key)]
    if differing:
        named = "; ".join(f"{key} {two.get(key)} instead of {one.get(key)}" for key in differing)
        raise InputError(
            f"{folder} and {first_folder} cannot be compared: {folder} was measured with another protocol ({named})."
        )


def _data_difference(first: Sequence[ImageResult], other: Sequence[ImageResult], same_hash: bool) -> str | None:
    """In what the data of two runs differ: images that one lacks, masks, or their content; None in nothing."""
    ones, others = ({result.name: result for result in results} for results in (first, other))
    parts = [
        named("without", [name for name in ones if name not in others]),
        named("with", [name for name in others if name not in ones], "more"),
    ]
    both = [(one, others[name]) for name, one in ones.items() if name in others]
    if not any(parts):
        parts.append(named("with other masks in", [a.name for a, b in both if _masks(a) != _masks(b)]))
    if not any(parts):
        changed = [a.name for a, b in both if a.content and b.content and a.content != b.content]
        parts.append(named("with other pixels or masks in", changed))
    if not any(parts) and not same_hash:
        parts.append("sizes, areas or detections differ")
    return ", ".join(filter(None, parts)) or None


def _masks(result: ImageResult) -> list[tuple[int | str, float]]:
    return [(instance.id, instance.area_px) for instance in result.instances]


def named(how: str, names: Sequence[str], more: str = "") -> str:
    """A few of the images, and how many there are; nothing of none."""
    if not names:
        return ""
    count = " ".join(filter(None, [str(len(names)), more, "images" if len(names) > 1 else "image"]))
    some = [name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…" for name in names[:_NAMED]]
    return f"{how} {count} ({', '.join(some)}{', …' if len(names) > _NAMED else ''})"


def _is_whole(report: Mapping[str, Any]) -> bool:
    """Whether it holds what a comparison reads."""
    metrics = report.get("metrics")
    texts = ("model", "backend", "samples_sha256")
    if not isinstance(metrics, dict) or not all(isinstance(report.get(key), str) for key in texts):
        return False
    if not isinstance(report.get("protocol"), dict):
        return False
    rows = [metrics.get("miou"), *_values(metrics.get("average_recall"))]
    numbers = [*_values(metrics.get("average_precision")), metrics.get("mean_of_sources")]
    return (
        all(isinstance(metrics.get(key), dict) for key in ("miou", "average_recall", "average_precision"))
        and all(isinstance(row, dict) and "all" in row for row in rows)
        and all(value is None or isinstance(value, (int, float)) for value in (*numbers, *(r["all"] for r in rows)))
    )


def _values(mapping: Any) -> list[Any]:
    return list(mapping.values()) if isinstance(mapping, dict) else []
