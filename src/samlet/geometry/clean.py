"""Clean-up of a mask: islands and holes go that no prompt asked for. On run-length codes, so for masks of any size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from samlet.geometry.rle import Rle, area
from samlet.geometry.run_regions import Regions
from samlet.opencv import cv2


@dataclass(frozen=True)
class Shares:
    """What is too small to stay. An island goes if it is below both shares, a hole is filled if it is below both.

    `island` is a share of the largest part, `hole` of the mask; the others are shares of the image.
    """

    island: float = 0.1
    island_of_image: float = 0.01
    hole: float = 0.1
    hole_of_image: float = 0.01


SHARES = Shares()


def clean_code(rle: Rle, positive_xy: ArrayLike = (), negative_xy: ArrayLike = (), shares: Shares = SHARES) -> Rle:
    """A mask without islands and holes that no click asks for; the same object if it has none.

    A part (8-connected) with a positive click stays, one with negative clicks only goes, whatever its size; a hole
    with a negative click stays. What is never empty before is never empty after. Clicks [K, 2] are pixels (x, y),
    those outside of the image say nothing.
    """
    height, width = rle["size"]
    positive, negative = _inside(positive_xy, (height, width)), _inside(negative_xy, (height, width))
    parted = _without_islands(rle, positive, negative, shares)
    return _without_holes(parted, negative, shares)


def smoothed(
    mask: NDArray[np.bool_], smooth: float, positive_xy: ArrayLike = (), negative_xy: ArrayLike = ()
) -> NDArray[np.bool_]:
    """A mask [H, W] with its outline rounded: each pixel as most around it are, but for those that were clicked.

    `smooth` is a share of the root of the mask's area: 0 leaves it, 0.05 is a lot. The same array if nothing would be
    left. Clicks as in `clean_code`, in pixels of the mask.
    """
    radius_px = round(smooth * np.count_nonzero(mask) ** 0.5)
    if radius_px < 1:
        return mask
    side = 2 * radius_px + 1
    share = cv2.blur(mask.astype(np.float32), (side, side), borderType=cv2.BORDER_REPLICATE)
    share = cv2.blur(share, (side, side), borderType=cv2.BORDER_REPLICATE)  # twice is nearly round
    smooth_mask = np.asarray(share) > 0.5
    for clicks in (_inside(positive_xy, mask.shape), _inside(negative_xy, mask.shape)):
        smooth_mask[clicks[:, 1], clicks[:, 0]] = mask[clicks[:, 1], clicks[:, 0]]
    return smooth_mask if smooth_mask.any() else mask


def _without_islands(rle: Rle, positive: NDArray[np.int64], negative: NDArray[np.int64], shares: Shares) -> Rle:
    parts = Regions.of_ones(rle)
    areas = parts.areas_px
    if len(areas) < 1:
        return rle
    height, width = rle["size"]
    stays = (areas >= shares.island * areas.max()) | (areas >= shares.island_of_image * height * width)
    kept = (stays & ~parts.hit(negative)) | parts.hit(positive)
    if not kept.any():
        kept[parts.largest] = True
    return rle if kept.all() else parts.only(kept)


def _without_holes(rle: Rle, negative: NDArray[np.int64], shares: Shares) -> Rle:
    holes = Regions.of_zeros(rle, corners=False)
    height, width = rle["size"]
    areas = holes.areas_px
    small = (areas < shares.hole * area(rle)) & (areas < shares.hole_of_image * height * width)
    filled = small & ~holes.at_border & ~holes.hit(negative)
    return holes.joined_to(rle, filled) if filled.any() else rle


def _inside(clicks_xy: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    clicks = np.floor(np.asarray(clicks_xy, np.float64).reshape(-1, 2)).astype(np.int64)
    return clicks[((clicks >= 0) & (clicks < (shape[1], shape[0]))).all(axis=1)]
