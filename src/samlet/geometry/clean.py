"""Clean-up of a mask: islands and holes go that no prompt asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def clean_mask(
    mask: NDArray[np.bool_],
    image_px: int,
    positive_xy: ArrayLike = (),
    negative_xy: ArrayLike = (),
    shares: Shares = SHARES,
    smooth: float = 0.0,
) -> NDArray[np.bool_]:
    """A mask [H, W] without islands and holes that no click asks for; the same array if there are none.

    A part (8-connected) with a positive click stays, one with negative clicks only goes, whatever its size; a hole
    with a negative click stays. What is never empty before is never empty after. `image_px` counts the pixels of the
    image the mask is cut from; clicks [K, 2] are pixels (x, y) of the mask, those outside of it say nothing.
    `smooth` first rounds the outline, by a share of the root of the mask's area: 0 leaves it, 0.05 is a lot.
    """
    positive, negative = _inside(positive_xy, mask.shape), _inside(negative_xy, mask.shape)
    if smooth > 0:
        mask = _smoothed(mask, round(smooth * np.count_nonzero(mask) ** 0.5), positive, negative)
    return _without_holes(_without_islands(mask, image_px, positive, negative, shares), image_px, negative, shares)


def _smoothed(
    mask: NDArray[np.bool_], radius_px: int, positive: NDArray[np.int64], negative: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Each pixel as most around it are, but for those that were clicked; the same array if nothing would be left."""
    if radius_px < 1:
        return mask
    side = 2 * radius_px + 1
    share = cv2.blur(mask.astype(np.float32), (side, side), borderType=cv2.BORDER_REPLICATE)
    share = cv2.blur(share, (side, side), borderType=cv2.BORDER_REPLICATE)  # twice is nearly round
    smooth = np.asarray(share) > 0.5
    for clicks in (positive, negative):
        smooth[clicks[:, 1], clicks[:, 0]] = mask[clicks[:, 1], clicks[:, 0]]
    return smooth if smooth.any() else mask


def _without_islands(
    mask: NDArray[np.bool_], image_px: int, positive: NDArray[np.int64], negative: NDArray[np.int64], shares: Shares
) -> NDArray[np.bool_]:
    parts, statistics = _parts(mask, 8)
    if len(statistics) < 2:
        return mask
    areas = statistics[:, cv2.CC_STAT_AREA]
    stays = (areas >= shares.island * areas.max()) | (areas >= shares.island_of_image * image_px)
    wanted, unwanted = _hit(parts, positive, len(areas)), _hit(parts, negative, len(areas))
    kept = (stays & ~unwanted) | wanted
    if not kept.any():
        kept[areas.argmax()] = True
    return mask if kept.all() else np.append(False, kept)[parts]


def _without_holes(
    mask: NDArray[np.bool_], image_px: int, negative: NDArray[np.int64], shares: Shares
) -> NDArray[np.bool_]:
    parts, statistics = _parts(~mask, 4)
    left, top, width, height, areas = statistics.T
    inner = (left > 0) & (top > 0) & (left + width < mask.shape[1]) & (top + height < mask.shape[0])
    small = (areas < shares.hole * np.count_nonzero(mask)) & (areas < shares.hole_of_image * image_px)
    filled = inner & small & ~_hit(parts, negative, len(areas))
    return mask | np.append(False, filled)[parts] if filled.any() else mask


def _parts(mask: NDArray[np.bool_], connectivity: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """A map [H, W] of the connected parts 1, 2, … (0: outside), and OpenCV's statistics of each: [parts, 5]."""
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=connectivity)
    return np.asarray(parts), np.asarray(statistics)[1:]


def _hit(parts: NDArray[Any], clicks_xy: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Which of the parts 1, 2, … hold a click: bool [count]."""
    hit = np.zeros(count + 1, bool)
    hit[parts[clicks_xy[:, 1], clicks_xy[:, 0]]] = True
    return hit[1:]


def _inside(clicks_xy: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    clicks = np.floor(np.asarray(clicks_xy, np.float64).reshape(-1, 2)).astype(np.int64)
    return clicks[((clicks >= 0) & (clicks < (shape[1], shape[0]))).all(axis=1)]
