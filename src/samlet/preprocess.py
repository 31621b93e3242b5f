"""Image to pixels: the one copy of SAM's preprocessing, for inference, training and export alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from samlet.geometry.frames import ImageFrame

if TYPE_CHECKING:
    from samlet.spec import ImageSpec


def to_pixels(image: NDArray[np.uint8], spec: ImageSpec) -> tuple[NDArray[np.float32], ImageFrame]:
    """Make an image uint8 RGB [H, W, 3] what an encoder eats: float32 [3, S, S] with S = `spec.canvas`, and its frame.

    Longest side to S on uint8 (Pillow, antialiased), normalized per channel, then padded right and bottom with 0,
    which is the mean color.
    """
    height, width = image.shape[:2]
    frame = ImageFrame((height, width), spec.canvas, spec.prompt_canvas)
    content = resize(image, frame.content_hw, spec.resampling)
    pixels = np.zeros((3, spec.canvas, spec.canvas), np.float32)
    content_height, content_width = frame.content_hw
    for channel, (mean, std) in enumerate(zip(spec.mean, spec.std, strict=True)):
        # A channel has 256 values at most: normalize those, then look them up.
        table = ((np.arange(256) - mean) / std).astype(np.float32)
        pixels[channel, :content_height, :content_width] = table.take(content[..., channel])
    return pixels, frame


def resize(image: NDArray[np.uint8], size_hw: tuple[int, int], resampling: str = "bilinear") -> NDArray[np.uint8]:
    """Scale an image uint8 RGB [H, W, 3] to `size_hw` as SAM's encoders were trained on (Pillow, antialiased)."""
    if image.shape[:2] == size_hw:
        return image
    height, width = size_hw
    resized = Image.fromarray(image).resize((width, height), Image.Resampling[resampling.upper()])
    return np.asarray(resized)
