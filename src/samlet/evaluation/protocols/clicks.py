"""Where a simulated user clicks, given the true mask and the mask so far.

`next_click` is RITM's clicker, used by EfficientViT-SAM; `mask_center` is EdgeSAM's first point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.opencv import cv2
from samlet.prompts import PointLabel

Click = tuple[tuple[int, int], PointLabel]

# Kornia's distance transform weighs the eight neighbors by exp(-distance / 0.35).
_NEIGHBOUR_WEIGHTS = np.exp(-np.hypot(*np.mgrid[-1:2, -1:2]) / 0.35).astype(np.float32)


def next_click(
    truth: NDArray[np.bool_], predicted: NDArray[np.bool_], clicked: Sequence[tuple[int, int]] = ()
) -> Click:
    """The pixel (x, y) deepest inside the larger error, and its label; masks are bool [H, W].

    Foreground only if the deepest missing pixel lies strictly deeper than the deepest surplus one. Pixels (x, y) in
    `clicked` are never chosen while another wrong pixel is left; a perfect mask gets a background click at (0, 0).
    """
    missing_px, missing = _deepest(truth & ~predicted, clicked)
    surplus_px, surplus = _deepest(~truth & predicted, clicked)
    if missing > surplus:
        return missing_px, PointLabel.FOREGROUND
    return surplus_px, PointLabel.BACKGROUND


def mask_center(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """The pixel (x, y) that Kornia's approximate distance transform calls farthest from the background.

    That transform peels the mask one chessboard layer at a time and ranks the pixels of the last layer by how few
    (and how distant) neighbors were peeled before; so the last layer alone decides. The image border is background.
    """
    rows, columns = _extent(mask)
    padded = np.pad(mask[rows, columns].astype(np.uint8), 1)
    layers = cv2.distanceTransform(padded, cv2.DIST_C, 3)
    last = layers == layers.max()
    peeled = cv2.filter2D((~last).astype(np.float32), -1, _NEIGHBOUR_WEIGHTS)
    return _first_maximum(np.where(last, -peeled, -np.inf)[1:-1, 1:-1], rows, columns)


def _deepest(error: NDArray[np.bool_], clicked: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], float]:
    """First row-major pixel (x, y) with the largest distance to the region's outside, and that distance."""
    if not error.any():
        return (0, 0), 0.0
    # Outside its bounding box a region is background, so the distances inside the padded box are the exact ones.
    rows, columns = _extent(error)
    padded = np.pad(error[rows, columns].astype(np.uint8), 1)
    # OpenCV's last digit differs from call to call, and so does the first of equal distances; squares are whole.
    distances = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distances = np.rint(np.square(distances, dtype=np.float64))
    for x, y in clicked:
        if rows.start <= y < rows.stop and columns.start <= x < columns.stop:
            distances[y - rows.start + 1, x - columns.start + 1] = 0
    distances = distances[1:-1, 1:-1]
    largest = float(np.sqrt(distances.max()))
    return (_first_maximum(distances, rows, columns) if largest > 0 else (0, 0)), largest


def _extent(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _first_maximum(values: NDArray[Any], rows: slice, columns: slice) -> tuple[int, int]:
    row, column = divmod(int(values.argmax()), values.shape[1])
    return int(columns.start) + column, int(rows.start) + row
