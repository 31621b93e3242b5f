"""Intersection over union and its averages. Knows numbers only: no models, no files.

Averages as in the EfficientViT-SAM evaluation: over instances, and by annotation area in three buckets whose borders
belong to both neighbours. Ours on top: per source, and the mean over sources, which no source with many masks rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

SMALL_MAX_AREA_PX = 32**2
LARGE_MIN_AREA_PX = 96**2

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


def mean_by_source(values: Sequence[float], sources: Sequence[str]) -> dict[str, float]:
    """Mean over the instances of each source, sources in alphabetical order."""
    groups: dict[str, list[float]] = {source: [] for source in sorted(set(sources))}
    for value, source in zip(values, sources, strict=True):
        groups[source].append(value)
    return {source: math.fsum(group) / len(group) for source, group in groups.items()}
