"""Two masks of one image beside each other, to be compared by eye."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samlet.drawing import overlay
from samlet.geometry.rle import encode
from samlet.masks import Mask
from samlet.opencv import cv2
from samlet.prompts import Prompts

_SMALLEST_VIEW_PX = 96
_VIEW_HEIGHT_PX = 300
_GAP_PX = 6


def side_by_side(
    image: NDArray[np.uint8], truth: NDArray[np.bool_], prediction: NDArray[np.bool_], prompts: Prompts
) -> NDArray[np.uint8]:
    """The truth, and the prediction with its prompts, on the part of the image [H, W, 3] they lie in: uint8 RGB."""
    rows, columns = view(truth | prediction)
    crop = image[rows, columns]
    scale = _VIEW_HEIGHT_PX / crop.shape[0]
    size = max(1, round(crop.shape[1] * scale)), _VIEW_HEIGHT_PX
    # Enlarged before drawing: the lines of a small object would else cover it.
    enlarged = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC).astype(np.uint8)
    masks = [
        Mask(encode(cv2.resize(mask[rows, columns].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0))
        for mask in (truth, prediction)
    ]
    moved = Prompts((prompts.points_xy - [columns.start, rows.start]) * scale, prompts.labels)
    gap = np.full((_VIEW_HEIGHT_PX, _GAP_PX, 3), 255, np.uint8)
    return np.hstack([overlay(enlarged, masks[:1]), gap, overlay(enlarged, masks[1:], moved)])


def view(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the pixels that are set, with half as much around; never smaller than a thumb."""
    return _span(mask.max(axis=1)), _span(mask.max(axis=0))


def _span(covered: NDArray[np.bool_]) -> slice:
    first, last = np.flatnonzero(covered)[[0, -1]]
    margin = max((last - first) // 2, (_SMALLEST_VIEW_PX - (last - first)) // 2, 8)
    return slice(max(0, int(first - margin)), min(len(covered), int(last + margin + 1)))
