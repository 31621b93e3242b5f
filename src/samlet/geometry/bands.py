"""Masks and label maps of any size, a band of rows at a time: memory goes with the band, not with the image.

Run-length codes go column by column, pictures row by row; here the one is read as the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samlet.geometry import rle as run_lengths
from samlet.geometry.rle import Rle

BAND_PX = 1 << 20  # of a band: a few megabytes whatever is made of it


@dataclass(frozen=True)
class MaskRows:
    """A mask as pieces of columns, from which any of its rows can be made.

    `box_xyxy`: its tight box, ends exclusive. A piece lies in a column (counted from the box), `tops` to `bottoms`.
    """

    box_xyxy: tuple[int, int, int, int]
    columns: NDArray[np.int32]
    tops: NDArray[np.int32]
    bottoms: NDArray[np.int32]

    @classmethod
    def of(cls, rle: Rle) -> MaskRows:
        """Read a code. Raises DataError if it is damaged."""
        height, _ = rle["size"]
        starts, ends = run_lengths.within_columns(run_lengths.runs_of(rle), height)
        columns, tops = np.divmod(starts, height)
        bottoms = ends - columns * height
        if not len(starts):
            empty = np.zeros(0, np.int32)
            return cls((0, 0, 0, 0), empty, empty, empty)
        left, right = int(columns[0]), int(columns[-1]) + 1
        box = left, int(tops.min()), right, int(bottoms.max())
        return cls(box, (columns - left).astype(np.int32), tops.astype(np.int32), bottoms.astype(np.int32))

    def rows(self, top: int, bottom: int) -> NDArray[np.bool_]:
        """Rows `top` to `bottom` (exclusive) of the image, in the columns of the box: bool [rows, box width]."""
        left, _, right, _ = self.box_xyxy
        here = (self.tops < bottom) & (self.bottoms > top)
        columns = self.columns[here]
        change = np.zeros((bottom - top + 1, right - left), np.int8)
        change[np.maximum(self.tops[here] - top, 0), columns] += 1
        change[np.minimum(self.bottoms[here], bottom) - top, columns] -= 1
        return np.cumsum(change[:-1], axis=0, dtype=np.int8, out=change[:-1]).view(np.bool_)

    def window(self) -> NDArray[np.bool_]:
        """The mask within its box: bool [h, w]."""
        _, top, _, bottom = self.box_xyxy
        return self.rows(top, bottom)


class LabelRows:
    """A label map that is never whole: 0 where no mask is, n + 1 in mask n; smaller masks lie on top."""

    def __init__(self, masks: Sequence[Rle], size_hw: tuple[int, int]) -> None:
        self.size_hw = size_hw
        self.count = len(masks)
        self._dtype = np.uint16 if len(masks) <= np.iinfo(np.uint16).max else np.int32
        sizes = [run_lengths.area(mask) for mask in masks]
        order = np.argsort(sizes, kind="stable")[::-1].tolist()
        self._layers = [(number + 1, MaskRows.of(masks[number])) for number in order]

    def rows(self, top: int, bottom: int) -> NDArray[np.uint16 | np.int32]:
        """Rows `top` to `bottom` (exclusive), [rows, W]."""
        labels = np.zeros((bottom - top, self.size_hw[1]), self._dtype)
        for label, mask in self._layers:
            left, first, right, last = mask.box_xyxy
            start, stop = max(first, top), min(last, bottom)
            if start < stop:
                labels[start - top : stop - top, left:right][mask.rows(start, stop)] = label
        return labels

    def bands(self) -> Iterator[NDArray[np.uint16 | np.int32]]:
        """All rows, band by band."""
        for top, bottom in bands_of(self.size_hw):
            yield self.rows(top, bottom)


def mask_bands(rle: Rle) -> Iterator[NDArray[np.bool_]]:
    """A mask's rows in whole width, band by band: bool [rows, W]."""
    mask = MaskRows.of(rle)
    height, width = rle["size"]
    left, _, right, _ = mask.box_xyxy
    for top, bottom in bands_of((height, width)):
        band = np.zeros((bottom - top, width), bool)
        band[:, left:right] = mask.rows(top, bottom)
        yield band


def bands_of(size_hw: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """First row and end of each band of an image."""
    height, width = size_hw
    rows = max(1, BAND_PX // max(width, 1))
    for top in range(0, height, rows):
        yield top, min(top + rows, height)
