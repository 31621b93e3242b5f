"""Where everything mode has found things already, so that its fast mode need not ask there again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samlet.geometry.patches import Patch

LARGE = 0.2  # of the picture: larger masks count less, as large things have parts, and grounds have things on them
FALL = 3  # with this power of their share


@dataclass(frozen=True)
class Tally:
    """By place of a picture at low resolution, float32 [h, w]: how many clicks have a mask there.

    `last` is the last of those clicks, and `given` what it counted.
    """

    clicks: NDArray[np.float32]
    last: NDArray[np.int32]
    given: NDArray[np.float32]

    @classmethod
    def over(cls, low_res_hw: tuple[int, int]) -> Tally:
        """Of a picture that no mask lies on yet."""
        return cls(
            np.zeros(low_res_hw, np.float32), np.full(low_res_hw, -1, np.int32), np.zeros(low_res_hw, np.float32)
        )

    def add(self, click: int, patch: Patch) -> None:
        """Count a mask of a click, which has a number; of several masks of one click the one that counts most."""
        x, y = patch.corner_xy
        inside = patch.logits > 0
        rows, columns = (slice(start, start + side) for start, side in zip((y, x), inside.shape, strict=True))
        clicks, last, given = (each[rows, columns] for each in (self.clicks, self.last, self.given))
        inside = inside[: clicks.shape[0], : clicks.shape[1]]  # a canvas has padding
        weight = np.float32(min(1.0, (LARGE / max(patch.share, LARGE)) ** FALL))
        before = np.where(last[inside] == click, given[inside], 0)
        now = np.maximum(before, weight)
        clicks[inside] += now - before
        given[inside] = now
        last[inside] = click

    def at(self, points_xy: NDArray[np.float64], size_hw: tuple[int, int]) -> NDArray[np.float32]:
        """The counts at points [K, 2] of the picture, whose size in their pixels is given: [K]."""
        cells_hw = np.array(self.clicks.shape)
        cells = (points_xy[:, ::-1] * cells_hw / size_hw).astype(int).clip(0, cells_hw - 1)
        return self.clicks[cells[:, 0], cells[:, 1]]
