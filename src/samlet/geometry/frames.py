"""The mapping between an image and the two canvases: the only code that scales coordinates or masks.

`canvas` is the square that the encoder sees; `prompt_canvas` is the square in which the decoder takes coordinates and
masks (always 1024 in the SAM line, also for encoders at 512). An image that is padded is scaled so that its longest
side fills the square and sits in the top left corner; one that is stretched fills both sides. The two roundings can
differ by a pixel, which the official code keeps too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from samlet.opencv import cv2

BAND_ROWS = 32  # rows of the image made by one matrix product: few enough that they share a few rows of the source


@dataclass(frozen=True)
class ImageFrame:
    """Where an image of `size_hw` pixels lies on the square canvases (sides in pixels).

    `low_res` is the side of the decoder's logits, which cover the prompt canvas; `fit` is that of the `ImageSpec`.
    """

    size_hw: tuple[int, int]
    canvas: int
    prompt_canvas: int = 1024
    low_res: int = 256
    fit: Literal["pad", "stretch"] = "pad"

    @property
    def content_hw(self) -> tuple[int, int]:
        """(height, width) of the resized image on `canvas`; the rest is padding."""
        return self._fitted(self.canvas)

    @property
    def prompt_hw(self) -> tuple[int, int]:
        """(height, width) of the resized image on `prompt_canvas`."""
        return self._fitted(self.prompt_canvas)

    def to_prompt(self, points_xy: ArrayLike) -> NDArray[np.float32]:
        """Scale points [..., 2] from image pixels to prompt-canvas pixels. (0, 0) stays where it is."""
        height, width = self.size_hw
        prompt_height, prompt_width = self.prompt_hw
        scale = np.array([prompt_width / width, prompt_height / height])
        return (np.asarray(points_xy, np.float64) * scale).astype(np.float32)

    def logits_to_image(self, low_res_logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Enlarge logits [..., h, w] of the whole prompt canvas to the image: float32 [..., H, W].

        Bilinear to the prompt canvas, crop to the content, bilinear to the image, as SAM's `postprocess_masks`
        does with `F.interpolate(align_corners=False)`. Two steps, because one would give other masks.
        """
        *leading, rows, columns = low_res_logits.shape
        height, width = self.size_hw
        vertical = _enlargement(rows, self.prompt_canvas, self.prompt_hw[0], height)
        horizontal = _enlargement(columns, self.prompt_canvas, self.prompt_hw[1], width)
        maps = np.asarray(low_res_logits, np.float32).reshape(-1, rows, columns)
        image_logits = np.empty((len(maps), height, width), np.float32)
        for logits, enlarged in zip(maps, image_logits, strict=True):
            widened = np.empty((width, rows), np.float32)
            horizontal.apply(logits.T, out=widened)
            vertical.apply(widened.T, out=enlarged)
        return image_logits.reshape(*leading, height, width)

    def window_bands(
        self,
        patch: NDArray[np.float32],
        corner_xy: tuple[int, int],
        window_xyxy: tuple[int, int, int, int],
        rows: int,
    ) -> Iterator[NDArray[np.float32]]:
        """What `logits_to_image` says of one window of the image, ends exclusive: float32 [rows, w], band by band.

        `patch` [rows, columns] is the part of the low-resolution logits that begins at `corner_xy`. What lies outside
        of it counts as 0, so it must reach two low-resolution pixels beyond the window. A band has about `rows` rows:
        as many as whole products make.
        """
        left, top, right, bottom = window_xyxy
        vertical = _enlargement(self.low_res, self.prompt_canvas, self.prompt_hw[0], self.size_hw[0])
        horizontal = _enlargement(self.low_res, self.prompt_canvas, self.prompt_hw[1], self.size_hw[1])
        widened = np.zeros((right - left, len(patch)), np.float32)
        horizontal.apply_window(patch.T, corner_xy[0], widened, left)
        step = -(-rows // BAND_ROWS) * BAND_ROWS
        for first in range(top - top % BAND_ROWS, bottom, step):
            start, stop = max(first, top), min(first + step, bottom)
            enlarged = np.zeros((stop - start, right - left), np.float32)
            vertical.apply_window(widened.T, corner_xy[1], enlarged, start)
            yield enlarged

    def sample_logits(
        self, low_res_logits: NDArray[np.float32], window_xyxy: tuple[int, int, int, int], size_hw: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Low-resolution logits [L, L] over a window of the image (ends exclusive) at any resolution: float32 [h, w].

        One bilinear step, where `logits_to_image` takes SAM's two: for masks that are worked on further.
        """
        left, top, right, bottom = window_xyxy
        cell = self.prompt_canvas / self.low_res
        per_x, per_y = (self.prompt_hw[axis] / self.size_hw[axis] / cell for axis in (1, 0))
        step_x, step_y = (right - left) / size_hw[1], (bottom - top) / size_hw[0]
        to_source = np.array(
            [
                [step_x * per_x, 0, (left + step_x / 2) * per_x - 0.5],
                [0, step_y * per_y, (top + step_y / 2) * per_y - 0.5],
            ]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        target = (size_hw[1], size_hw[0])
        sampled = cv2.warpAffine(low_res_logits, to_source, target, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(sampled, np.float32)

    def reach_of(self, low_res_box_xyxy: ArrayLike) -> tuple[int, int, int, int]:
        """The window of the image, ends exclusive, in which the low-resolution pixels of a box (inclusive) have a part.

        The two bilinear steps reach less than one low-resolution pixel beyond the box.
        """
        (height, width), (prompt_height, prompt_width) = self.size_hw, self.prompt_hw
        cell = self.prompt_canvas / self.low_res
        left, top, right, bottom = np.asarray(low_res_box_xyxy, np.float64) + np.array([-1, -1, 2, 2])
        return (
            int(np.clip(left * cell * width / prompt_width, 0, width)),
            int(np.clip(top * cell * height / prompt_height, 0, height)),
            int(np.ceil(np.clip(right * cell * width / prompt_width, 0, width))),
            int(np.ceil(np.clip(bottom * cell * height / prompt_height, 0, height))),
        )

    @property
    def low_res_hw(self) -> tuple[int, int]:
        """Rows and columns of the low-resolution logits that lie on the image; the rest is padding."""
        height, width = (int(np.ceil(side * self.low_res / self.prompt_canvas)) for side in self.prompt_hw)
        return height, width

    def _fitted(self, canvas: int) -> tuple[int, int]:
        return (canvas, canvas) if self.fit == "stretch" else resized_hw(self.size_hw, canvas)


def resized_hw(size_hw: tuple[int, int], longest_side: int) -> tuple[int, int]:
    """(height, width) once the longest side is `longest_side`: int(x * scale + 0.5), and never less than one pixel."""
    height, width = size_hw
    scale = longest_side / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


@dataclass(frozen=True)
class _Enlargement:
    """A matrix [rows, source rows] that is zero away from its diagonal, as the blocks that are not zero."""

    blocks: tuple[tuple[slice, slice, NDArray[np.float32]], ...]

    def apply(self, source: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write the product with `source` [source rows, columns] to `out` [rows, columns]."""
        for rows, source_rows, weights in self.blocks:
            np.matmul(weights, source[source_rows], out=out[rows])

    def apply_window(
        self, source: NDArray[np.float32], first_source: int, out: NDArray[np.float32], first: int
    ) -> None:
        """Write rows `first`, `first` + 1, … of the product to `out`; `source` begins at row `first_source`."""
        for rows, source_rows, weights in self.blocks[first // BAND_ROWS : (first + len(out) - 1) // BAND_ROWS + 1]:
            start, stop = max(rows.start, first), min(rows.stop, first + len(out))
            begin, end = max(source_rows.start, first_source), min(source_rows.stop, first_source + len(source))
            if begin < end:
                used = slice(begin - source_rows.start, end - source_rows.start)
                part = weights[start - rows.start : stop - rows.start, used]
                seen = source[begin - first_source : end - first_source]
                np.matmul(part, seen, out=out[start - first : stop - first])


@lru_cache(maxsize=16)
def _enlargement(source: int, canvas: int, content: int, target: int) -> _Enlargement:
    """Both bilinear steps and the crop between them along one axis: `source` → `canvas`, crop `content` → `target`."""
    matrix = _interpolate(_interpolate(np.eye(source, dtype=np.float32), canvas)[:content], target)
    blocks = []
    for start in range(0, target, BAND_ROWS):
        rows = slice(start, min(start + BAND_ROWS, target))
        used = np.flatnonzero(matrix[rows].any(axis=0))
        source_rows = slice(int(used[0]), int(used[-1]) + 1)
        blocks.append((rows, source_rows, matrix[rows, source_rows].copy()))
    return _Enlargement(tuple(blocks))


def _interpolate(values: NDArray[np.float32], target: int) -> NDArray[np.float32]:
    """Rows [source, columns] to [target, columns], bilinear without antialiasing; a row is a sample's center."""
    source = len(values)
    # torch places the samples in float32 with one rounding at the end. OpenCV does it in float64, and that difference
    # alone moves logits by up to 1e-4 of their range: more than the noise between backends.
    scale = float(np.float32(source) / np.float32(target))
    places = (scale * (np.arange(target) + 0.5) - 0.5).astype(np.float32).clip(0, source - 1)
    before = places.astype(np.int64)
    share = (places - before).astype(np.float32)[:, None]
    after = np.minimum(before + 1, source - 1)
    return (values[before] * (1 - share) + values[after] * share).astype(np.float32, copy=False)
