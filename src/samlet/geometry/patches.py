"""One mask as the part of its low-resolution logits that matters: its image-size pixels are made where they are needed.

Stability, boxes and codes are those of the mask at image size, as in segment_anything, for a fraction of the work: most
masks cover little of an image, and a box needs four strips along the edges of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from samlet.geometry.bands import BAND_PX
from samlet.geometry.frames import ImageFrame
from samlet.geometry.regions import stability_score
from samlet.geometry.rle import Rle, encode_bands, encode_window
from samlet.geometry.windows import Window

# Of the estimate of stability: see docs/performance.md for how often it errs.
MARGIN, MARGIN_OF_ONE_PIXEL = 0.005, 1.0
BEYOND = -4.0  # a probability of 2 %: where all logits are lower, no mask will have its edge
REACH = 3  # low-resolution pixels around the mask that the two bilinear steps can see, and one more


@dataclass(frozen=True)
class Patch:
    """Logits [h, w] from low-resolution pixel `corner_xy` on; beyond them every logit of the image is below `floor`.

    `box_xyxy`: low-resolution pixels with a logit above `floor`, ends inclusive; None if there are none.
    """

    logits: NDArray[np.float32]
    corner_xy: tuple[int, int]
    box_xyxy: tuple[int, int, int, int] | None
    frame: ImageFrame

    @classmethod
    def cut(cls, low_res: NDArray[np.float32], frame: ImageFrame, floor: float) -> Patch:
        """The patch of logits [L, L]; `floor` is the lowest threshold that will be asked about (0 or below)."""
        height, width = frame.low_res_hw
        box = _box(low_res[:height, :width] > floor)
        if box is None:
            return cls(low_res[:0, :0].copy(), (0, 0), None, frame)
        left, top = max(box[0] - REACH, 0), max(box[1] - REACH, 0)
        right, bottom = min(box[2] + REACH + 1, frame.low_res), min(box[3] + REACH + 1, frame.low_res)
        return cls(low_res[top:bottom, left:right].copy(), (left, top), box, frame)

    def estimate_stability(self, offset: float) -> tuple[float, float]:
        """Stability at low resolution, and how far that at image size may be from it.

        Both count pixels inside the same two contours; the error of a count falls with the root of the area.
        """
        height, width = self.frame.low_res_hw
        inside = self._on_image
        loose = np.count_nonzero(inside > -offset)
        if not loose:
            return 0.0, 1.0
        image_height, image_width = self.frame.size_hw
        pixels = loose * min(1.0, image_height * image_width / (height * width))  # of the coarser of the two grids
        return float(stability_score(inside, offset=offset)), MARGIN + MARGIN_OF_ONE_PIXEL / pixels**0.5

    @cached_property
    def share(self) -> float:
        """The share of the image that the mask covers, at low resolution."""
        height, width = self.frame.low_res_hw
        return np.count_nonzero(self._on_image > 0) / (height * width)

    @property
    def _on_image(self) -> NDArray[np.float32]:
        """The logits without those of the canvas's padding."""
        height, width = self.frame.low_res_hw
        x, y = self.corner_xy
        return self.logits[: height - y, : width - x]

    def stability(self, offset: float) -> float:
        """`stability_score` at image size; exact where `offset` is not above the floor's distance from 0."""
        if self.box_xyxy is None:
            return 0.0
        return _share([_counts(logits, offset) for logits in self._bands(self.box_xyxy)])

    def image_box(self) -> tuple[int, int, int, int]:
        """The tight box of the mask in image pixels, XYXY, ends inclusive; zeros for an empty mask.

        Each edge is looked for in a strip along that edge of the low-resolution mask.
        """
        box = self._mask_box()
        if box is None:
            return 0, 0, 0, 0
        left, top, right, bottom = box
        strips = (
            (left, top, min(left + 1, right), bottom),
            (left, top, right, min(top + 1, bottom)),
            (max(right - 1, left), top, right, bottom),
            (left, max(bottom - 1, top), right, bottom),
        )
        edges = [self._box_within(strip) for strip in strips]
        if any(edge is None for edge in edges):  # such a strip lies between the pixels of a small image
            return self._box_within(box) or (0, 0, 0, 0)
        found = [edge[side] for side, edge in enumerate(edges) if edge is not None]
        return found[0], found[1], found[2], found[3]

    def sample(self, window: Window, size_hw: tuple[int, int]) -> NDArray[np.float32]:
        """`ImageFrame.sample_logits` over a window, where the logits beyond the patch are `BEYOND`: float32 [h, w]."""
        low_res = np.full((self.frame.low_res, self.frame.low_res), BEYOND, np.float32)
        x, y = self.corner_xy
        low_res[y : y + self.logits.shape[0], x : x + self.logits.shape[1]] = self.logits
        return self.frame.sample_logits(low_res, window.xyxy, size_hw)

    def answer(
        self, offset: float, origin_xy: tuple[int, int] = (0, 0), size_hw: tuple[int, int] | None = None
    ) -> tuple[Rle, float]:
        """Code of the mask at image size, and its `stability`.

        The code is laid into an image of `size_hw` (default: its own) from `origin_xy` on.
        """
        size_hw = size_hw or self.frame.size_hw
        if self.box_xyxy is None:
            return encode_window(np.zeros((0, 0), bool), (0, 0), size_hw), 0.0
        x, y, _, _ = self.frame.reach_of(self.box_xyxy)
        counts = []

        def counted(logits: NDArray[np.float32]) -> NDArray[np.bool_]:
            counts.append(_counts(logits, offset))
            return logits > 0

        code = encode_bands(map(counted, self._bands(self.box_xyxy)), (origin_xy[0] + x, origin_xy[1] + y), size_hw)
        return code, _share(counts)

    def _bands(self, low_res_box_xyxy: tuple[int, int, int, int]) -> Iterator[NDArray[np.float32]]:
        """Image-size logits around a box of low-resolution pixels, which may be all: a band of rows at a time."""
        window = self.frame.reach_of(low_res_box_xyxy)
        rows = max(1, BAND_PX // max(window[2] - window[0], 1))
        return self.frame.window_bands(self.logits, self.corner_xy, window, rows)

    def _mask_box(self) -> tuple[int, int, int, int] | None:
        """Low-resolution pixels of the image with a logit above 0."""
        height, width = self.frame.low_res_hw
        x, y = self.corner_xy
        box = _box(self.logits[: height - y, : width - x] > 0)
        return None if box is None else (box[0] + x, box[1] + y, box[2] + x, box[3] + y)

    def _box_within(self, low_res_box_xyxy: tuple[int, int, int, int]) -> tuple[int, int, int, int] | None:
        """The box of the mask's image pixels around a box of low-resolution ones."""
        left, top, right, _ = self.frame.reach_of(low_res_box_xyxy)
        rows: list[int] = []
        columns, row = np.zeros(right - left, bool), top
        for logits in self._bands(low_res_box_xyxy):
            inside = logits > 0
            columns |= inside.any(axis=0)
            rows += (row + np.flatnonzero(inside.any(axis=1))).tolist()
            row += len(inside)
        if not rows:
            return None
        first, last = np.flatnonzero(columns)[[0, -1]].tolist()
        return left + first, rows[0], left + last, rows[-1]


def _counts(logits: NDArray[np.float32], offset: float) -> tuple[int, int]:
    """Pixels above the higher and the lower threshold of a stability."""
    return int(np.count_nonzero(logits > offset)), int(np.count_nonzero(logits > -offset))


def _share(counts: Sequence[tuple[int, int]]) -> float:
    """`stability_score` of the pixels that were counted."""
    strict, loose = (sum(each) for each in zip(*counts, strict=True))
    return float(np.float32(strict / max(loose, 1)))


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Inclusive corners of a mask [h, w]; None if it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])
