"""Measures and repairs of mask regions (after segment_anything's `utils/amg.py`)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from samlet.opencv import cv2


def stability_score(logits: NDArray[np.floating], threshold: float = 0.0, offset: float = 1.0) -> NDArray[np.float32]:
    """How little masks [..., H, W] change when their threshold moves by ± `offset`: float32 [...] in 0..1.

    It is the IoU of the two masks, of which one contains the other. A mask empty at both thresholds scores 0
    (segment_anything: NaN).
    """
    strict = np.count_nonzero(logits > threshold + offset, axis=(-2, -1))
    loose = np.count_nonzero(logits > threshold - offset, axis=(-2, -1))
    return (strict / np.maximum(loose, 1)).astype(np.float32)


def remove_small_regions(
    mask: NDArray[np.bool_], area_px: float, mode: Literal["holes", "islands"]
) -> tuple[NDArray[np.bool_], bool]:
    """Fill the holes, or drop the islands, of a mask [H, W] that are smaller than `area_px` (8-connected).

    Returns the mask and whether it changed. Where every island is small, the largest stays.
    """
    filling = mode == "holes"
    searched = (mask != filling).astype(np.uint8)
    count, regions, statistics, _ = cv2.connectedComponentsWithStats(searched, connectivity=8)
    sizes = statistics[:, cv2.CC_STAT_AREA]
    sizes[0] = 0  # region 0 is what was not searched: the mask around holes, the background around islands
    small = np.flatnonzero(sizes < area_px)
    if small.size <= 1:
        return mask, False
    if filling:
        return np.isin(regions, small), True
    kept = np.setdiff1d(np.arange(count), small)
    return np.isin(regions, kept if kept.size else sizes.argmax()), True


def uncrop_masks(masks: NDArray[np.bool_], crop_box_xyxy: ArrayLike, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """Masks [..., h, w] of a crop, laid into an otherwise empty image of `size_hw`: [..., H, W]."""
    left, top, right, bottom = (int(edge) for edge in np.asarray(crop_box_xyxy))
    whole = np.zeros((*masks.shape[:-2], *size_hw), masks.dtype)
    whole[..., top:bottom, left:right] = masks
    return whole
