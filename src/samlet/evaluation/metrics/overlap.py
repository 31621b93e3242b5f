"""Intersection over union, of masks and of their boundaries, and averages. Knows numbers only: no models, no files.

Averages as in the EfficientViT-SAM evaluation: over instances, and by annotation area in three buckets whose borders
belong to both neighbors. Ours on top: per source and per category, and the mean over sources, which no source with
many masks rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from samlet.opencv import cv2

SMALL_MAX_AREA_PX = 32**2
LARGE_MIN_AREA_PX = 96**2
BOUNDARY_FRACTION = 0.02  # of the image's diagonal: how far a boundary reaches into its mask

_SIZES: dict[str, Callable[[float], bool]] = {
    "all": lambda area_px: area_px >= 0,
    "small": lambda area_px: area_px <= SMALL_MAX_AREA_PX,
    "medium": lambda area_px: SMALL_MAX_AREA_PX <= area_px <= LARGE_MIN_AREA_PX,
    "large": lambda area_px: area_px >= LARGE_MIN_AREA_PX,
}


def mask_iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Intersection over union of two bool masks [H, W], 0 to 1; 0 where both are empty, as in the official code."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 0.0


def boundary_iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """`mask_iou` of the boundaries of two bool masks [H, W]: errors along the outline weigh the same at every size.

    Boundary IoU of Cheng et al. (2021): of each mask only the pixels near its outline count.
    """
    covered = first | second
    if not covered.any():
        return 0.0
    # Beyond both masks there is background only, which changes no boundary: the box around them is enough.
    rows, columns = (np.flatnonzero(covered.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    reach_px = max(1, round(BOUNDARY_FRACTION * math.hypot(*first.shape)))
    return mask_iou(_boundary(first[box], reach_px), _boundary(second[box], reach_px))


def _boundary(mask: NDArray[np.bool_], reach_px: int) -> NDArray[np.bool_]:
    """The pixels [H, W] of a mask from which `reach_px` steps, diagonal ones too, lead out of it or of the image."""
    padded = np.pad(mask.astype(np.uint8), 1)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=reach_px)[1:-1, 1:-1]
    return mask & (inner == 0)


def pieces(mask: NDArray[np.bool_]) -> int:
    """How many connected pieces a mask [H, W] falls into, corners included; 0 for an empty one."""
    if not mask.any():
        return 0
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    crop = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return cv2.connectedComponents(crop.astype(np.uint8), connectivity=8)[0] - 1  # without the background


def mean(values: Iterable[float]) -> float | None:
    """The mean, or None of nothing; summed exactly, so the order (hence the split over processes) does not matter."""
    numbers = list(values)
    return math.fsum(numbers) / len(numbers) if numbers else None


def mean_by_size(values: Sequence[float], areas_px: Sequence[float]) -> dict[str, float | None]:
    """Means over all instances and over the small, medium and large ones; None marks an empty bucket."""
    pairs = list(zip(values, areas_px, strict=True))
    return {size: mean(value for value, area_px in pairs if within(area_px)) for size, within in _SIZES.items()}


def size_counts(areas_px: Sequence[float]) -> dict[str, int]:
    """How many instances `mean_by_size` averages; one on a border counts in both buckets."""
    return {size: sum(map(within, areas_px)) for size, within in _SIZES.items()}


def mean_by_group(values: Sequence[float], groups: Sequence[str]) -> dict[str, float]:
    """Mean over the instances of each group (a source, a category), groups in alphabetical order."""
    members: dict[str, list[float]] = {group: [] for group in sorted(set(groups))}
    for value, group in zip(values, groups, strict=True):
        members[group].append(value)
    return {group: math.fsum(numbers) / len(numbers) for group, numbers in members.items()}
