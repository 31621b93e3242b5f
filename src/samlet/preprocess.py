"""Image to pixels: the one copy of SAM's preprocessing, for inference, training and export alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from samlet.geometry.bands import bands_of
from samlet.geometry.frames import ImageFrame

if TYPE_CHECKING:
    from samlet.spec import ImageSpec

LARGEST_COPY_PX = 16_000_000  # Pillow copies an image before it scales it, at 4 bytes a pixel


def to_pixels(image: NDArray[np.uint8], spec: ImageSpec) -> tuple[NDArray[np.float32], ImageFrame]:
    """Make an image uint8 RGB [H, W, 3] what an encoder eats: float32 [3, S, S] with S = `spec.canvas`, and its frame.

    Resized on uint8 (Pillow, antialiased), longest side to S or both (`spec.fit`), normalized per channel, then padded
    right and bottom with 0, which is the mean color.
    """
    height, width = image.shape[:2]
    frame = frame_of((height, width), spec)
    content = resize(image, frame.content_hw, spec.resampling)
    pixels = np.zeros((3, spec.canvas, spec.canvas), np.float32)
    content_height, content_width = frame.content_hw
    for channel, (mean, std) in enumerate(zip(spec.mean, spec.std, strict=True)):
        # A channel has 256 values at most: normalize those, then look them up.
        table = ((np.arange(256) - mean) / std).astype(np.float32)
        pixels[channel, :content_height, :content_width] = table.take(content[..., channel])
    return pixels, frame


def frame_of(size_hw: tuple[int, int], spec: ImageSpec) -> ImageFrame:
    """How an image of `size_hw` pixels lies on the canvases of a model."""
    return ImageFrame(size_hw, spec.canvas, spec.prompt_canvas, spec.low_res, spec.fit)


def resize(image: NDArray[np.uint8], size_hw: tuple[int, int], resampling: str = "bilinear") -> NDArray[np.uint8]:
    """Scale an image uint8 RGB [H, W, 3] to `size_hw` as SAM's encoders were trained on (Pillow, antialiased)."""
    if image.shape[:2] == size_hw:
        return image
    height, width = size_hw
    filtered = Image.Resampling[resampling.upper()]
    if image.shape[0] * image.shape[1] <= LARGEST_COPY_PX or image.shape[1] == width:
        return np.asarray(Image.fromarray(image).resize((width, height), filtered))
    # A band at a time, each row by itself, then columns: both orders are Pillow's own, depending on its version, and
    # differ by a level here and there.
    narrow = np.empty((image.shape[0], width, 3), np.uint8)
    for top, bottom in bands_of((image.shape[0], image.shape[1])):
        band = Image.fromarray(np.ascontiguousarray(image[top:bottom]))
        narrow[top:bottom] = np.asarray(band.resize((width, bottom - top), filtered))
    return np.asarray(Image.fromarray(narrow).resize((width, height), filtered))
