"""Masks of a scene as runs of columns, wherever they lie: memory goes with their outline, not with the scene.

A run-length code numbers the pixels of a whole image, so it cannot say anything about a scene of ten gigapixels; runs
have coordinates. What windows of a scene show is cut, joined and measured here without a pixel being made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from samlet.geometry.bands import MaskRows
from samlet.geometry.rle import Rle, from_places

_COLUMN = 1 << 32  # between the first pixels of two columns when runs are put on one line: more than any column has


@dataclass(frozen=True, eq=False)
class Runs:
    """A mask as runs: each lies in one column of the scene, from `tops` to `bottoms` (exclusive); int64 [R].

    Sorted by column, then top; no two of them touch.
    """

    columns: NDArray[np.int64]
    tops: NDArray[np.int64]
    bottoms: NDArray[np.int64]

    @classmethod
    def of(cls, rle: Rle, corner_xy: tuple[int, int] = (0, 0)) -> Runs:
        """The mask of a code whose first pixel lies at `corner_xy` of the scene. DataError if the code is damaged."""
        rows = MaskRows.of(rle)
        left, top = rows.box_xyxy[0] + corner_xy[0], corner_xy[1]
        columns, tops, bottoms = (part.astype(np.int64) for part in (rows.columns, rows.tops, rows.bottoms))
        return cls(columns + left, tops + top, bottoms + top)

    @property
    def area_px(self) -> int:
        """Number of pixels."""
        return int((self.bottoms - self.tops).sum())

    @cached_property
    def box_xyxy(self) -> tuple[int, int, int, int]:
        """Tight box, ends exclusive; (0, 0, 0, 0) if there is no pixel."""
        if not len(self.columns):
            return 0, 0, 0, 0
        return int(self.columns[0]), int(self.tops.min()), int(self.columns[-1]) + 1, int(self.bottoms.max())

    def within(self, box_xyxy: tuple[int, int, int, int]) -> Runs:
        """What lies in a box (ends exclusive)."""
        left, top, right, bottom = box_xyxy
        first, last = np.searchsorted(self.columns, [left, right])
        tops, bottoms = np.maximum(self.tops[first:last], top), np.minimum(self.bottoms[first:last], bottom)
        there = tops < bottoms
        return Runs(self.columns[first:last][there], tops[there], bottoms[there])

    def outside(self, box_xyxy: tuple[int, int, int, int]) -> Runs:
        """What does not lie in a box (ends exclusive)."""
        left, top, right, bottom = box_xyxy
        here = slice(*np.searchsorted(self.columns, [left, right]).tolist())
        ends = np.delete(np.arange(len(self.columns)), here)
        beside = Runs(self.columns[ends], self.tops[ends], self.bottoms[ends])
        columns, tops, bottoms = self.columns[here], self.tops[here], self.bottoms[here]
        pieces = [(tops, np.minimum(bottoms, top)), (np.maximum(tops, bottom), bottoms)]
        parts = [Runs(columns[a < b], a[a < b], b[a < b]) for a, b in pieces]
        return union([beside, *parts])

    def moved(self, right_px: int, down_px: int) -> Runs:
        """The mask elsewhere."""
        return Runs(self.columns + right_px, self.tops + down_px, self.bottoms + down_px)

    def enlarged(self, step: int) -> Runs:
        """The mask with `step` x `step` pixels for each of its own."""
        if step == 1:
            return self
        columns = (self.columns * step + np.arange(step)[:, None]).ravel()
        tops, bottoms = np.tile(self.tops * step, step), np.tile(self.bottoms * step, step)
        order = np.lexsort((tops, columns))
        return Runs(columns[order], tops[order], bottoms[order])

    def reduced(self, step: int) -> Runs:
        """The mask as the middle pixel of each `step` x `step` has it; small ones may vanish."""
        middle = step // 2
        here = self.columns % step == middle
        # Row n is the row n * step + middle: the first at or after the top.
        tops, bottoms = ((edge[here] - middle + step - 1) // step for edge in (self.tops, self.bottoms))
        there = tops < bottoms
        return union([Runs((self.columns[here] // step)[there], tops[there], bottoms[there])])

    def window(self, box_xyxy: tuple[int, int, int, int]) -> NDArray[np.bool_]:
        """The pixels of a box (ends exclusive): bool [h, w]."""
        left, top, right, bottom = box_xyxy
        part = self.within(box_xyxy)
        change = np.zeros((bottom - top + 1, right - left), np.int8)
        change[part.tops - top, part.columns - left] += 1
        change[part.bottoms - top, part.columns - left] -= 1
        return np.cumsum(change[:-1], axis=0, dtype=np.int8, out=change[:-1]).view(np.bool_)

    def to_rle(self, size_hw: tuple[int, int], corner_xy: tuple[int, int] = (0, 0)) -> Rle:
        """The code of a picture of `size_hw` whose first pixel is the scene's `corner_xy`; the whole mask is in it."""
        first = (self.columns - corner_xy[0]) * size_hw[0] - corner_xy[1]
        return from_places(np.stack([first + self.tops, first + self.bottoms], axis=1).ravel(), size_hw)


def union(parts: Sequence[Runs]) -> Runs:
    """The pixels of any of the masks; of none, no pixel."""
    starts, ends = (
        np.concatenate([np.zeros(0, np.int64), *(part.columns * _COLUMN + edge(part) for part in parts)])
        for edge in (lambda part: part.tops, lambda part: part.bottoms)
    )
    if not len(starts):
        return Runs(starts, starts, starts)
    order = np.argsort(starts, kind="stable")
    starts, reached = starts[order], np.maximum.accumulate(ends[order])
    first = np.append(True, starts[1:] > reached[:-1])
    columns, tops = np.divmod(starts[first], _COLUMN)
    return Runs(columns, tops, reached[np.append(first[1:], True)] - columns * _COLUMN)
