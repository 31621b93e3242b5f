"""Average recall: how many of an image's annotated masks are among those found, whatever their category.

As COCO counts it (without categories): the masks of highest predicted IoU come first, the first 10, 100 or 1000 are
looked at, and at each of ten IoU thresholds each takes the free annotation that it overlaps most.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from samlet.data import Annotation
from samlet.evaluation.metrics.scoring import score
from samlet.evaluation.results import InstanceResult
from samlet.geometry.rle import Rle, iou_matrix
from samlet.masks import Mask

PROPOSALS = (10, 100, 1000)
THRESHOLDS = np.linspace(0.5, 0.95, 10)
_NOT_FOUND = np.iinfo(np.int64).max


def measure_recall(masks: Sequence[Mask], annotations: Sequence[Annotation]) -> list[InstanceResult]:
    """Each annotation with its nearest mask, and the fraction of thresholds at which it is found, by PROPOSALS."""
    ious = iou_matrix([mask.rle for mask in masks], [annotation.rle for annotation in annotations])
    ranks = np.stack([match(ious, threshold) for threshold in THRESHOLDS])
    results = []
    for column, annotation in enumerate(annotations):
        recall = tuple(float(np.mean(ranks[:, column] < most)) for most in PROPOSALS)
        truth, mask = annotation.to_array(), nearest(masks, annotation.rle)
        found = np.zeros_like(truth) if mask is None else mask.to_array()
        results.append(score(annotation, truth, found, (mask.iou or 0.0) if mask else 0.0, recall))
    return results


def match(ious: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    """Which mask takes which annotation: the masks' row for each column of `ious` [masks, annotations], or "never".

    Row by row, each mask takes the free annotation of the highest IoU, if that reaches the threshold; of equals the
    last, as in pycocotools.
    """
    ranks = np.full(ious.shape[1], _NOT_FOUND)
    for rank, row in enumerate(ious):
        free = np.flatnonzero((ranks == _NOT_FOUND) & (row >= threshold))
        if free.size:
            ranks[free[::-1][row[free[::-1]].argmax()]] = rank
    return ranks


def nearest(masks: Sequence[Mask], truth: Rle) -> Mask | None:
    """The mask of the highest IoU with the truth; None if there are no masks."""
    return masks[int(iou_matrix([mask.rle for mask in masks], [truth]).argmax())] if masks else None
