"""Masks that overlap: one label for each pixel, and what of many masks to keep. On run-length codes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from samlet.geometry import rle as run_lengths
from samlet.geometry.rle import Rle


def label_map(masks: Sequence[Rle], size_hw: tuple[int, int]) -> NDArray[np.int32]:
    """One label for each pixel: int32 [H, W], 0 where no mask is, n + 1 in mask n. Smaller masks lie on top."""
    labels = np.zeros(size_hw, np.int32)
    sizes = [run_lengths.area(mask) for mask in masks]
    for number in np.argsort(sizes, kind="stable")[::-1]:
        labels[run_lengths.decode(masks[number])] = number + 1
    return labels


def visible_parts(masks: Sequence[Rle]) -> list[Rle]:
    """What of each mask no smaller one covers, as in `label_map`; on the codes, so for masks of any size."""
    sizes = [run_lengths.area(mask) for mask in masks]
    parts = list(masks)
    taken: Rle | None = None
    for number in np.argsort(sizes, kind="stable").tolist():
        if taken is not None:
            parts[number] = run_lengths.difference(masks[number], taken)
        taken = masks[number] if taken is None else run_lengths.union([taken, masks[number]])
    return parts


def mask_nms(
    masks: Sequence[Rle], scores: ArrayLike, iou_threshold: float, containment_threshold: float = 1.0
) -> NDArray[np.int64]:
    """Greedy suppression by the masks themselves: indices to keep, best score first; ties keep their order.

    A mask goes when its IoU with a better kept one, or the share of it inside that one, is above its threshold.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    keep: list[int] = []
    for index in order.tolist():
        better, one = [masks[kept] for kept in keep], [masks[index]]
        overlap = run_lengths.iou_matrix(one, better).max(initial=0)
        inside = run_lengths.containment_matrix(one, better).max(initial=0)
        if overlap <= iou_threshold and inside <= containment_threshold:
            keep.append(index)
    return np.array(keep, np.int64)
