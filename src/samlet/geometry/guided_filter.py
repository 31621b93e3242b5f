"""The guided filter: an edge of a mask moves to where the photo has one.

He, Sun and Tang, "Guided image filtering" (2010): in every square window the filtered probability is the best linear
function of the photo's colors. The maps of coefficients are smooth, so they may be made on a coarser grid than the
photo's ("Fast guided filter", 2015), which bounds the work for large photos.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from samlet.opencv import cv2

_Colors: TypeAlias = Sequence[NDArray[Any]]  # three maps [h, w], red, green, blue

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
        red, green, blue = cv2.split(weighted)
        yield red + green + blue + enlarged(offset, size_hw, rows) > 0.5


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
    """Slopes [h, w, 3] and offset [h, w], each the mean over the windows that a pixel lies in.

    Color by color, as numpy takes numbers that lie side by side several times as fast.
    """

    def mean(values: NDArray[Any]) -> NDArray[Any]:
        return _box_mean(values, radius_px)

    colors = [np.asarray(color) for color in cv2.split(guide)]
    means, mean_probability = [mean(color) for color in colors], mean(probability)
    right = [mean(color * probability) - m * mean_probability for color, m in zip(colors, means, strict=True)]
    variances = [mean(color * color) - m * m + np.float32(eps) for color, m in zip(colors, means, strict=True)]
    pairs = (0, 1), (1, 2), (2, 0)
    mixed = [mean(colors[a] * colors[b]) - means[a] * means[b] for a, b in pairs]
    slopes = _solve(variances, mixed, right)
    offset = mean_probability - _dot(slopes, means)
    return np.asarray(cv2.merge([mean(slope) for slope in slopes])), mean(offset)


def _solve(variances: _Colors, mixed: _Colors, right: _Colors) -> _Colors:
    """x, three maps [h, w], of A x = `right` at every pixel.

    A is symmetric: `variances` rr, gg, bb on its diagonal, `mixed` rg, gb, br beside it. Cofactors are many times
    faster than `np.linalg.solve` for so many small systems.
    """
    rr, gg, bb = variances
    rg, gb, br = mixed
    c_rr, c_rg, c_br = gg * bb - gb * gb, gb * br - rg * bb, rg * gb - gg * br
    c_gg, c_gb, c_bb = rr * bb - br * br, br * rg - rr * gb, rr * gg - rg * rg
    determinant = _dot((rr, rg, br), (c_rr, c_rg, c_br))
    rows = (c_rr, c_rg, c_br), (c_rg, c_gg, c_gb), (c_br, c_gb, c_bb)
    return [_dot(row, right) / determinant for row in rows]


def _dot(a: _Colors, b: _Colors) -> NDArray[Any]:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _box_mean(values: NDArray[Any], radius_px: int) -> NDArray[Any]:
    side = 2 * radius_px + 1
    return cv2.boxFilter(values, -1, (side, side), borderType=cv2.BORDER_REFLECT)


def _scaled(photo: NDArray[Any]) -> NDArray[Any]:
    return photo.astype(np.float32) / 255


def _bands(height: int) -> list[slice]:
    return [slice(start, min(start + BAND_ROWS, height)) for start in range(0, height, BAND_ROWS)]
