"""How many clicks have a mask over each place of a picture, so that everything mode need not ask there again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samlet.geometry.patches import Patch


@dataclass(frozen=True)
class Tally:
    """By place of a picture at low resolution, int32 [h, w]: how many clicks have a mask there; the last of them."""

    clicks: NDArray[np.int32]
    last: NDArray[np.int32]

    @classmethod
    def over(cls, low_res_hw: tuple[int, int]) -> Tally:
        """Of a picture that no mask lies on yet."""
        return cls(np.zeros(low_res_hw, np.int32), np.full(low_res_hw, -1, np.int32))

    def add(self, click: int, patch: Patch) -> None:
        """Count a mask of a click, which has a number; masks of one click lie in each other and count once."""
        x, y = patch.corner_xy
        inside = patch.logits > 0
        rows, columns = (slice(start, start + side) for start, side in zip((y, x), inside.shape, strict=True))
        clicks, last = self.clicks[rows, columns], self.last[rows, columns]
        new = inside[: clicks.shape[0], : clicks.shape[1]] & (last != click)  # a canvas has padding
        clicks[new] += 1
        last[new] = click

    def at(self, points_xy: NDArray[np.float64], size_hw: tuple[int, int]) -> NDArray[np.int32]:
        """The counts at points [K, 2] of the picture, whose size in their pixels is given: [K]."""
        cells_hw = np.array(self.clicks.shape)
        cells = (points_xy[:, ::-1] * cells_hw / size_hw).astype(int).clip(0, cells_hw - 1)
        return self.clicks[cells[:, 0], cells[:, 1]]
