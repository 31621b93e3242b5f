"""The guided filter: an edge of a mask moves to where the photo has one.

He, Sun and Tang, "Guided image filtering" (2010): in every square window the filtered probability is the best linear
function of the photo's colors. The maps of coefficients are smooth, so they may be made on a coarser grid than the
photo's ("Fast guided filter", 2015), which bounds the work for large photos.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.opencv import cv2

BAND_ROWS = 256  # of the photo, worked on at once: a few megabytes for a photo of 12 megapixels


def guided_bands(
    probability: NDArray[np.float32], photo: NDArray[np.uint8], radius_px: int, eps: float
) -> Iterator[NDArray[np.bool_]]:
    """Where the filtered probability is above one half, some rows at a time: bool [rows, W].

    `probability` float32 [h, w] in 0..1 lies over the photo uint8 RGB [H, W, 3] and may be coarser; the filter's
    windows have 2 · `radius_px` + 1 of its pixels a side. `eps` is the variance of a color
    (0..1) that counts as an edge.
    """
    height, width = probability.shape
    guide = _scaled(np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)))
    slopes, offset = _coefficients(probability, guide, radius_px, eps)
    size_hw = photo.shape[0], photo.shape[1]
    for rows in _bands(len(photo)):
        weighted = enlarged(slopes, size_hw, rows) * _scaled(photo[rows])
        yield weighted.sum(axis=-1) + enlarged(offset, size_hw, rows) > 0.5


def plain_bands(logits: NDArray[np.float32], size_hw: tuple[int, int]) -> Iterator[NDArray[np.bool_]]:
    """Where logits [h, w], enlarged to `size_hw`, are above 0, some rows at a time: bool [rows, W]."""
    for rows in _bands(size_hw[0]):
        yield enlarged(logits, size_hw, rows) > 0


def enlarged(values: NDArray[np.float32], size_hw: tuple[int, int], rows: slice) -> NDArray[np.float32]:
    """Some rows of a map [h, w] or [h, w, C] enlarged to `size_hw`, bilinear: float32 [rows, W] or [rows, W, C]."""
    if values.shape[:2] == size_hw:
        return values[rows]
    scale_y, scale_x = values.shape[0] / size_hw[0], values.shape[1] / size_hw[1]
    to_source = np.array([[scale_x, 0, scale_x / 2 - 0.5], [0, scale_y, (rows.start + 0.5) * scale_y - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    target = (size_hw[1], rows.stop - rows.start)
    return np.asarray(
        cv2.warpAffine(values, to_source, target, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


def _coefficients(
    probability: NDArray[Any], guide: NDArray[Any], radius_px: int, eps: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Slopes [h, w, 3] and offset [h, w], each the mean over the windows that a pixel lies in."""
    mean_guide, mean_probability = _box_mean(guide, radius_px), _box_mean(probability, radius_px)
    covariance = _box_mean(guide * probability[..., None], radius_px) - mean_guide * mean_probability[..., None]
    following = guide[..., [1, 2, 0]], mean_guide[..., [1, 2, 0]]
    variances = _box_mean(guide * guide, radius_px) - mean_guide * mean_guide + np.float32(eps)
    mixed = _box_mean(guide * following[0], radius_px) - mean_guide * following[1]
    slopes = _solve(variances, mixed, covariance)
    offset = mean_probability - (slopes * mean_guide).sum(axis=-1)
    return _box_mean(slopes, radius_px), _box_mean(offset, radius_px)


def _solve(variances: NDArray[Any], mixed: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """x [h, w, 3] of A x = `right` at every pixel.

    A is symmetric: `variances` rr, gg, bb on its diagonal, `mixed` rg, gb, br beside it. Cofactors are many times
    faster than `np.linalg.solve` for so many small systems.
    """
    rr, gg, bb = (variances[..., channel] for channel in range(3))
    rg, gb, br = (mixed[..., channel] for channel in range(3))
    c_rr, c_rg, c_br = gg * bb - gb * gb, gb * br - rg * bb, rg * gb - gg * br
    c_gg, c_gb, c_bb = rr * bb - br * br, br * rg - rr * gb, rr * gg - rg * rg
    determinant = rr * c_rr + rg * c_rg + br * c_br
    r, g, b = (right[..., channel] for channel in range(3))
    solution = (c_rr * r + c_rg * g + c_br * b, c_rg * r + c_gg * g + c_gb * b, c_br * r + c_gb * g + c_bb * b)
    return np.stack(solution, axis=-1) / determinant[..., None]


def _box_mean(values: NDArray[Any], radius_px: int) -> NDArray[Any]:
    side = 2 * radius_px + 1
    return cv2.boxFilter(values, -1, (side, side), borderType=cv2.BORDER_REFLECT)


def _scaled(photo: NDArray[Any]) -> NDArray[Any]:
    return photo.astype(np.float32) / 255


def _bands(height: int) -> list[slice]:
    return [slice(start, min(start + BAND_ROWS, height)) for start in range(0, height, BAND_ROWS)]
