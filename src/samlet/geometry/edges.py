"""Logits drawn as a mask at the size of the photo, with its edges where the photo has them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samlet.geometry.guided_filter import guided_bands, plain_bands
from samlet.geometry.patches import Patch
from samlet.geometry.windows import Window

# Chosen on training photos; docs/guides/segment.md has the measurements.
RADIUS_OF_OBJECT = 0.15  # the filter's radius is at most this share of the root of the object's area
GRID_SIDE = 512  # twice the network's own resolution


@dataclass(frozen=True)
class LogitGrid:
    """The points over a window of a photo at which logits are worked on: large photos cost little more than small."""

    step_px: float
    size_hw: tuple[int, int]

    @classmethod
    def over(cls, size_hw: tuple[int, int]) -> LogitGrid:
        """Of a window of that size in pixels."""
        step_px = max(1.0, max(size_hw) / GRID_SIDE)
        return cls(step_px, (max(1, round(size_hw[0] / step_px)), max(1, round(size_hw[1] / step_px))))


@dataclass(frozen=True)
class Edges:
    """The guided filter of a model: `radius`, a share of the photo's diagonal (0: none), and `eps`."""

    radius: float
    eps: float

    def around(self, patch: Patch) -> Window:
        """The part of the photo in which the patch may have pixels, and as much around it as the filter sees."""
        if patch.box_xyxy is None:
            return Window(0, 0, 1, 1)
        photo_hw = patch.frame.size_hw
        seen_px = 1 + math.ceil(2 * self.radius * math.hypot(*photo_hw))
        return Window(*patch.frame.reach_of(patch.box_xyxy)).grown(seen_px, photo_hw)

    def bands(
        self, logits: NDArray[np.float32], photo: NDArray[np.uint8], window: Window
    ) -> Iterator[NDArray[np.bool_]]:
        """The mask over a window of a photo uint8 RGB [H, W, 3], some rows at a time: bool [rows, width].

        `logits` float32 [h, w] lie on the `LogitGrid` over the window.
        """
        step_px = LogitGrid.over(window.size_hw).step_px
        area_px = np.count_nonzero(logits > 0) * step_px**2
        reach_px = min(self.radius * math.hypot(*photo.shape[:2]), RADIUS_OF_OBJECT * area_px**0.5)
        radius = round(reach_px / step_px)
        if not radius:
            return plain_bands(logits, window.size_hw)
        probability = (1 / (1 + np.exp(-logits.clip(-30, 30)))).astype(np.float32, copy=False)
        part = photo[window.top : window.bottom, window.left : window.right]
        return guided_bands(probability, part, radius, self.eps)
