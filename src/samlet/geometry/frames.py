"""The mapping between an image and the two canvases: the only code that scales coordinates or masks.

`canvas` is the square that the encoder sees; `prompt_canvas` is the square in which the decoder takes coordinates and
masks (always 1024 in the SAM line, also for encoders at 512). An image is scaled so that its longest side fills the
square and sits in the top left corner. The two roundings can differ by a pixel, which the official code keeps too.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class ImageFrame:
    """Where an image of `size_hw` pixels lies on the square canvases (sides in pixels)."""

    size_hw: tuple[int, int]
    canvas: int
    prompt_canvas: int = 1024

    @property
    def content_hw(self) -> tuple[int, int]:
        """(height, width) of the resized image on `canvas`; the rest is padding."""
        return resized_hw(self.size_hw, self.canvas)

    @property
    def prompt_hw(self) -> tuple[int, int]:
        """(height, width) of the resized image on `prompt_canvas`."""
        return resized_hw(self.size_hw, self.prompt_canvas)

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
        leading = low_res_logits.shape[:-2]
        maps = np.ascontiguousarray(low_res_logits, np.float32).reshape(-1, *low_res_logits.shape[-2:])
        image_logits = np.empty((len(maps), *self.size_hw), np.float32)
        for logits, out in zip(maps, image_logits, strict=True):
            self._enlarge(logits, out)
        return image_logits.reshape(*leading, *self.size_hw)

    def _enlarge(self, logits: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        side = self.prompt_canvas
        prompt_height, prompt_width = self.prompt_hw
        height, width = self.size_hw
        on_canvas = cv2.resize(logits, (side, side), interpolation=cv2.INTER_LINEAR)
        content = on_canvas[:prompt_height, :prompt_width]
        out[...] = cv2.resize(content, (width, height), interpolation=cv2.INTER_LINEAR)


def resized_hw(size_hw: tuple[int, int], longest_side: int) -> tuple[int, int]:
    """(height, width) once the longest side is `longest_side`: int(x * scale + 0.5), and never less than one pixel."""
    height, width = size_hw
    scale = longest_side / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
