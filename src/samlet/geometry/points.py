"""Regular grids of points and the overlapping crops of everything mode (after segment_anything's `utils/amg.py`)."""

from __future__ import annotations

from itertools import product
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray


def build_point_grid(per_side: int) -> NDArray[np.float64]:
    """Centers of per_side × per_side equal cells of the unit square: [per_side², 2], x varies fastest."""
    ticks = (np.arange(per_side) + 0.5) / per_side
    return np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)


def build_layer_grids(per_side: int, layers: int, downscale: int) -> list[NDArray[np.float64]]:
    """One grid for the whole image and one per crop layer; layer i has per_side // downscale**i points a side."""
    return [build_point_grid(per_side // downscale**layer) for layer in range(layers + 1)]


def coarse_to_fine(per_side: int, stride: int) -> list[NDArray[np.int64]]:
    """The numbers of a grid's points, level by level: every `stride`-th row and column, then each half of that, to all.

    Each point is in one level.
    """
    row, column = np.divmod(np.arange(per_side**2), per_side)
    waiting = np.ones(per_side**2, bool)
    levels = []
    while stride >= 1:
        level = waiting & (row % stride == stride // 2) & (column % stride == stride // 2) if stride > 1 else waiting
        levels.append(np.flatnonzero(level))
        waiting = waiting & ~level
        stride //= 2
    return [level for level in levels if level.size]


def crop_boxes(size_hw: tuple[int, int], layers: int, overlap: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The whole image, then for layer i = 1..layers a grid of 2**i × 2**i overlapping crops, column by column.

    Returns boxes XYXY [C, 4] in pixels and the layer [C] of each. In layer i neighbors share
    `overlap * 2 / 2**i` of the image's short side. Of an image with fewer pixels than crops, crops without a pixel are
    left out.
    """
    height, width = size_hw
    boxes, box_layers = [(0, 0, width, height)], [0]
    for layer in range(1, layers + 1):
        per_side = 2**layer
        shared = int(overlap * min(height, width) * (2 / per_side))
        lefts, crop_width = _spans(width, per_side, shared)
        tops, crop_height = _spans(height, per_side, shared)
        for left, top in product((x for x in lefts if x < width), [y for y in tops if y < height]):
            boxes.append((left, top, min(left + crop_width, width), min(top + crop_height, height)))
            box_layers.append(layer)
    return np.array(boxes, np.int64), np.array(box_layers, np.int64)


def uncrop_points(points_xy: ArrayLike, crop_box_xyxy: ArrayLike) -> NDArray:
    """Points [..., 2] from crop pixels to image pixels."""
    return np.asarray(points_xy) + np.asarray(crop_box_xyxy)[:2]


def _spans(length: int, count: int, shared: int) -> tuple[list[int], int]:
    """Starts and common length of `count` spans that cover `length` pixels and share `shared` with the next."""
    span = ceil((shared * (count - 1) + length) / count)
    return [(span - shared) * index for index in range(count)], span
