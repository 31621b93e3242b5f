"""Numbers of classes: hits among the first k, and the confusion of pixels, summed over a set. Whole numbers until the
last division, so neither the order of images nor a split over processes changes a digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.data.classes import IGNORED

TOP = 5
FEW = 1000
Confusion = tuple[tuple[int, int, int], ...]
"""(true class, class of the answer, pixels), for those pairs that occur."""


def confusion(truth: NDArray[np.int32], answer: NDArray[np.integer[Any]], classes: int) -> Confusion:
    """How many pixels of each true class were given each class; those to ignore do not count."""
    counted = truth != IGNORED
    pairs = truth[counted].astype(np.int64) * classes + answer[counted].astype(np.int64)
    if classes <= FEW:  # no sorting of two million pixels
        sums = np.bincount(pairs)
        found = np.flatnonzero(sums)
        counts = sums[found]
    else:
        found, counts = np.unique(pairs, return_counts=True)
    return tuple(
        (int(pair) // classes, int(pair) % classes, int(count)) for pair, count in zip(found, counts, strict=True)
    )


def summed(confusions: Iterable[Confusion], classes: int) -> NDArray[np.int64]:
    """The confusion matrix of many images: [true class, class of the answer] in pixels."""
    matrix = np.zeros((classes, classes), np.int64)
    for pairs in confusions:
        for true, answer, pixels in pairs:
            matrix[true, answer] += pixels
    return matrix


def measure_pixels(matrix: NDArray[np.int64], names: Sequence[str]) -> dict[str, Any]:
    """mIoU (the mean of classes that occur in truth or answers), pixel accuracy; per class IoU, recall and pixels."""
    hits, true, answered = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    union = true + answered - hits
    per_class = {
        name: {
            "iou": _share(hits[i], union[i]),
            "recall": _share(hits[i], true[i]),
            "pixels": int(true[i]),
            "taken_for": names[_most_other(matrix[i], i)] if true[i] > hits[i] else None,
        }
        for i, name in enumerate(names)
    }
    ious = [row["iou"] for row in per_class.values() if row["iou"] is not None]
    return {
        "miou": sum(ious) / len(ious) if ious else None,
        "pixel_accuracy": _share(hits.sum(), true.sum()),
        "per_class": per_class,
    }


def measure_images(answers: Sequence[tuple[int, Sequence[int]]], names: Sequence[str]) -> dict[str, Any]:
    """Top-1 and top-5 of (true class, best classes first), over images and per class; None of nothing."""
    top_1 = [ranked[0] == true for true, ranked in answers]
    top_5 = [true in ranked[:TOP] for true, ranked in answers]
    per_class: dict[str, Any] = {}
    for i, name in enumerate(names):
        mine = [place for place, (true, _) in enumerate(answers) if true == i]
        wrong = [answers[place][1][0] for place in mine if not top_1[place]]
        per_class[name] = {
            "top_1": _share(sum(top_1[place] for place in mine), len(mine)),
            "images": len(mine),
            "taken_for": names[max(sorted(set(wrong)), key=wrong.count)] if wrong else None,
        }
    return {
        "top_1": _share(sum(top_1), len(answers)),
        "top_5": _share(sum(top_5), len(answers)),
        "mean_of_classes": _mean(per_class),
        "per_class": per_class,
    }


def _mean(per_class: Mapping[str, Mapping[str, Any]]) -> float | None:
    known = [row["top_1"] for row in per_class.values() if row["top_1"] is not None]
    return sum(known) / len(known) if known else None


def _most_other(row: NDArray[np.int64], own: int) -> int:
    others = row.copy()
    others[own] = -1
    return int(others.argmax())


def _share(part: Any, of: Any) -> float | None:
    return int(part) / int(of) if of else None
