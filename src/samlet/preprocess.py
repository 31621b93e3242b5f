"""Image to pixels: the one copy of the models' preprocessing, for inference, training and export alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from samlet.geometry.bands import bands_of
from samlet.geometry.frames import ImageFrame
from samlet.opencv import cv2

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
    _normalize(content, spec, pixels[:, :content_height, :content_width])
    return pixels, frame


def normalized(image: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.float32]:
    """An image uint8 RGB [H, W, 3] of the size a network shall see as its pixels float32 [3, H, W]."""
    pixels = np.empty((3, *image.shape[:2]), np.float32)
    _normalize(image, spec, pixels)
    return pixels


def fitted(image: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.uint8]:
    """An image uint8 RGB as a network for whole images sees it (`spec.fit` "crop" or "short_side"), uint8 RGB."""
    height, width = image.shape[:2]
    if spec.fit == "short_side":
        return resize(image, short_side_hw((height, width), spec), spec.resampling)
    short = math.ceil(spec.canvas / spec.crop_ratio)
    long = int(short * max(height, width) / min(height, width))
    size_hw = (short, long) if height <= width else (long, short)
    scaled = resize(image, size_hw, spec.resampling)
    # torchvision's rounding of the middle, which the papers' numbers were measured with
    top, left = (round((side - spec.canvas) / 2) for side in size_hw)
    return scaled[top : top + spec.canvas, left : left + spec.canvas]


def short_side_hw(size_hw: tuple[int, int], spec: ImageSpec) -> tuple[int, int]:
    """The size at which a segmenter sees a whole image: its short side is the canvas, the long one a multiple.

    Source: the official evaluation of EfficientViT on ADE20K; for Cityscapes' 1024 x 2048 pixels it changes nothing.
    """
    height, width = size_hw
    long = math.ceil(max(size_hw) / min(size_hw) * spec.canvas / spec.size_multiple) * spec.size_multiple
    return (spec.canvas, long) if height < width else (long, spec.canvas)


def _normalize(image: NDArray[np.uint8], spec: ImageSpec, out: NDArray[np.float32]) -> None:
    for channel, (mean, std) in enumerate(zip(spec.mean, spec.std, strict=True)):
        # A channel has 256 values at most: normalize those, then look them up.
        table = ((np.arange(256) - mean) / std).astype(np.float32)
        out[channel] = table.take(image[..., channel])


def frame_of(size_hw: tuple[int, int], spec: ImageSpec) -> ImageFrame:
    """How an image of `size_hw` pixels lies on the canvases of a model."""
    fit = "stretch" if spec.fit == "stretch" else "pad"  # the two that promptable models have
    return ImageFrame(size_hw, spec.canvas, spec.prompt_canvas, spec.low_res, fit)


def resize(image: NDArray[np.uint8], size_hw: tuple[int, int], resampling: str = "bilinear") -> NDArray[np.uint8]:
    """Scale an image uint8 RGB [H, W, 3] to `size_hw` as SAM's encoders were trained on (Pillow, antialiased).

    `resampling`: of `ImageSpec`; "opencv_bicubic" is not antialiased.
    """
    if image.shape[:2] == size_hw:
        return image
    height, width = size_hw
    if resampling == "opencv_bicubic":
        return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    filtered = Image.Resampling[resampling.upper()]
    if image.shape[0] * image.shape[1] <= LARGEST_COPY_PX or image.shape[1] == width:
        return np.asarray(_pillow(image).resize((width, height), filtered))
    # A band at a time, each row by itself, then columns: both orders are Pillow's own, depending on its version, and
    # differ by a level here and there.
    narrow = np.empty((image.shape[0], width, 3), np.uint8)
    for top, bottom in bands_of((image.shape[0], image.shape[1])):
        band = Image.fromarray(np.ascontiguousarray(image[top:bottom]))
        narrow[top:bottom] = np.asarray(band.resize((width, bottom - top), filtered))
    return np.asarray(Image.fromarray(narrow).resize((width, height), filtered))


def _pillow(image: NDArray[np.uint8]) -> Image.Image:
    """An image uint8 RGB [H, W, 3] as Pillow's; of a crop Pillow alone would make two copies."""
    if image.flags.c_contiguous:
        return Image.fromarray(image)
    copy = Image.new("RGB", (image.shape[1], image.shape[0]))
    for top, bottom in bands_of((image.shape[0], image.shape[1])):
        copy.paste(Image.fromarray(np.ascontiguousarray(image[top:bottom])), (0, top))
    return copy
