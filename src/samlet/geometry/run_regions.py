"""Regions of a mask found in its run-length code: memory goes with its runs, not with the pixels of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from samlet.geometry.rle import Rle, from_places, runs_of, to_counts, within_columns

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Regions:
    """The connected regions 0, 1, … of a mask, or of what lies around it, as runs within columns.

    Run r covers the pixels `starts[r]` to `ends[r]` (exclusive, counted column by column) and belongs to the region
    `numbers[r]`.
    """

    size_hw: tuple[int, int]
    starts: Places
    ends: Places
    numbers: Places

    @classmethod
    def of_ones(cls, rle: Rle) -> Regions:
        """The parts of a mask, 8-connected."""
        return cls._of(runs_of(rle), rle, corners=True)

    @classmethod
    def of_zeros(cls, rle: Rle, corners: bool) -> Regions:
        """The parts of what is not in a mask, 8-connected if pixels touch at `corners`, else 4-connected."""
        height, width = rle["size"]
        # Edge 0 is where the first ones start, edge 1 where they end; zeros lie between.
        bounds = np.concatenate([[0], _edges(rle), [height * width]])
        return cls._of(bounds[: len(bounds) // 2 * 2].reshape(-1, 2), rle, corners)

    @classmethod
    def _of(cls, runs: Places, rle: Rle, corners: bool) -> Regions:
        height, width = rle["size"]
        starts, ends = within_columns(runs, height)
        first_runs = _first_runs(starts, ends, height, corners)
        return cls((height, width), starts, ends, np.unique(first_runs, return_inverse=True)[1].reshape(-1))

    @property
    def areas_px(self) -> Places:
        """Pixels of each region."""
        return np.bincount(self.numbers, weights=self.ends - self.starts).astype(np.int64)

    @property
    def largest(self) -> int:
        """The largest region; of equal ones that whose first pixel comes first, row by row. There must be one."""
        height, width = self.size_hw
        column, row = np.divmod(self.starts, height)
        return int(self.numbers[np.lexsort((row * width + column, -self.areas_px[self.numbers]))[0]])

    @property
    def at_border(self) -> NDArray[np.bool_]:
        """Which regions touch the border of the image: bool [regions]."""
        height, width = self.size_hw
        column, row = np.divmod(self.starts, height)
        runs = (column == 0) | (column == width - 1) | (row == 0) | (self.ends % height == 0)
        return self._with(self.numbers[runs])

    def hit(self, pixels_xy: Places) -> NDArray[np.bool_]:
        """Which regions hold one of the pixels [K, 2], which lie in the image: bool [regions]."""
        places = pixels_xy[:, 0] * self.size_hw[0] + pixels_xy[:, 1]
        runs = np.searchsorted(self.starts, places, side="right") - 1
        inside = runs >= 0
        inside[inside] = places[inside] < self.ends[runs[inside]]
        return self._with(self.numbers[runs[inside]])

    def only(self, kept: NDArray[np.bool_]) -> Rle:
        """The code of some regions, which `kept` [regions] says."""
        return _code(self._runs(kept), self.size_hw)

    def joined_to(self, rle: Rle, added: NDArray[np.bool_]) -> Rle:
        """The code of a mask and of some regions that are not in it."""
        return _code(np.concatenate([runs_of(rle), self._runs(added)]), self.size_hw)

    def _runs(self, regions: NDArray[np.bool_]) -> Places:
        runs = regions[self.numbers]
        return np.stack([self.starts[runs], self.ends[runs]], axis=1)

    def _with(self, numbers: Places) -> NDArray[np.bool_]:
        found = np.zeros(int(self.numbers.max(initial=-1)) + 1, bool)
        found[numbers] = True
        return found


def remove_small_regions(rle: Rle, area_px: float, mode: Literal["holes", "islands"]) -> tuple[Rle, bool]:
    """Fill the holes, or drop the islands, of a mask that are smaller than `area_px` (8-connected).

    Returns the code and whether it changed: what `samlet.geometry.regions` does to the mask itself. Where every island
    is small, the largest stays; of equal ones that whose first pixel comes first, row by row.
    """
    regions = Regions.of_zeros(rle, corners=True) if mode == "holes" else Regions.of_ones(rle)
    small = regions.areas_px < area_px
    if not small.any():
        return rle, False
    if mode == "holes":
        return regions.joined_to(rle, small), True
    if small.all():
        small[regions.largest] = False
    return regions.only(~small), True


def _edges(rle: Rle) -> Places:
    return np.cumsum(np.asarray(to_counts(rle), np.int64))


def _first_runs(starts: Places, ends: Places, height: int, corners: bool) -> Places:
    """For each run within a column the number of the first run of its region."""
    column, top = np.divmod(starts, height)
    bottom = ends - column * height
    # Runs of the next column that touch one lie side by side; rows and a gap number them all.
    row = (column + 1) * (height + 2)
    below, above = ("left", "right") if corners else ("right", "left")
    low = np.searchsorted(column * (height + 2) + bottom, row + top, side=below)
    high = np.searchsorted(column * (height + 2) + top, row + bottom, side=above)
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
    return from_places(runs[np.argsort(runs[:, 0])].ravel(), size_hw)
