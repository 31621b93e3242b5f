"""Regions of a mask found in its run-length code: memory goes with its runs, not with the pixels of the image."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from samlet.geometry.rle import Rle, from_counts, to_counts

Places = NDArray[np.int64]


def remove_small_regions(rle: Rle, area_px: float, mode: Literal["holes", "islands"]) -> tuple[Rle, bool]:
    """Fill the holes, or drop the islands, of a mask that are smaller than `area_px` (8-connected).

    Returns the code and whether it changed: what `samlet.geometry.regions` does to the mask itself. Where every island
    is small, the largest stays; of equal ones that whose first pixel comes first, row by row.
    """
    height, width = rle["size"]
    edges = np.cumsum(np.asarray(to_counts(rle), np.int64))
    # Edge 0 is where the first ones start, edge 1 where they end; holes are looked for in what lies between.
    bounds = np.concatenate([[0], edges, [height * width]]) if mode == "holes" else edges
    starts, ends = _within_columns(bounds[: len(bounds) // 2 * 2].reshape(-1, 2), height)
    if not len(starts):
        return rle, False
    region = _regions(starts, ends, height)
    sizes = np.bincount(region, weights=ends - starts, minlength=len(region)).astype(np.int64)
    small = sizes[region] < area_px
    if not small.any():
        return rle, False
    if mode == "holes":
        ones = edges[: len(edges) // 2 * 2].reshape(-1, 2)
        return _code(np.concatenate([ones, np.stack([starts, ends], axis=1)[small]]), (height, width)), True
    if small.all():
        column, row = np.divmod(starts, height)
        first = np.lexsort((row * width + column, -sizes[region]))[0]
        small = region != region[first]
    return _code(np.stack([starts, ends], axis=1)[~small], (height, width)), True


def _within_columns(runs: Places, height: int) -> tuple[Places, Places]:
    """Starts and ends of runs [R, 2], in pixels column by column, cut where they leave their column."""
    starts, ends = runs[runs[:, 1] > runs[:, 0]].T
    first = starts // height
    columns = (ends - 1) // height - first + 1
    run = np.repeat(np.arange(len(starts)), columns)
    column = first[run] + np.arange(len(run)) - np.repeat(np.cumsum(columns) - columns, columns)
    return np.maximum(starts[run], column * height), np.minimum(ends[run], (column + 1) * height)


def _regions(starts: Places, ends: Places, height: int) -> Places:
    """For each run within a column the number of the first run of its region."""
    column, top = np.divmod(starts, height)
    bottom = ends - column * height
    # Runs of the next column that touch one, at a corner too, lie side by side; rows and a gap number them all.
    row = (column + 1) * (height + 2)
    low = np.searchsorted(column * (height + 2) + bottom, row + top, side="left")
    high = np.searchsorted(column * (height + 2) + top, row + bottom, side="right")
    touching = np.maximum(high - low, 0)
    one = np.repeat(np.arange(len(starts)), touching)
    other = low[one] + np.arange(len(one)) - np.repeat(np.cumsum(touching) - touching, touching)
    region = np.arange(len(starts))
    while True:
        near, far = np.minimum(region[one], region[other]), np.maximum(region[one], region[other])
        apart = near < far
        if not apart.any():
            return region
        np.minimum.at(region, far[apart], near[apart])
        while (region[region] != region).any():
            region = region[region]


def _code(runs: Places, size_hw: tuple[int, int]) -> Rle:
    """The code of runs [R, 2] that do not overlap, in any order."""
    starts, ends = runs[np.argsort(runs[:, 0])].T
    apart = starts[1:] != ends[:-1]
    edges = np.stack([starts[np.append(True, apart)], ends[np.append(apart, True)]], axis=1).ravel()
    counts = np.diff(np.concatenate([[0], edges, [size_hw[0] * size_hw[1]]]))
    return from_counts((counts if counts[-1] else counts[:-1]).tolist(), size_hw)
