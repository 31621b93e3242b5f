"""Scenes: pictures too large to be looked at in one piece, and therefore read by windows.

Here are those in ordinary image files. Pillow decodes such a file whole, to 4 bytes a pixel (gray: 1); what is made of
it afterwards goes with the window. Rasters, which are decoded by windows too, are in `samlet.labeling.rasters`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from samlet import images
from samlet.geometry.windows import Window
from samlet.images import decode_large, upright_size
from samlet.opencv import cv2

MAX_SCENE_PIXELS = 150_000_000
"""Of a scene in an image file, unless the caller says more: 600 MB once decoded, however small the file is."""
LARGEST_SCENE_PIXELS = 1_000_000_000
"""What can be said: a run-length code goes no further."""


@dataclass(frozen=True, eq=False)
class View:
    """What a scene shows in a window: uint8 RGB [h, w, 3], and where it shows anything (bool [h, w]; None: all)."""

    pixels: NDArray[np.uint8]
    valid: NDArray[np.bool_] | None = None


class Scene(Protocol):
    """A picture that is read by windows."""

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        ...

    def read(self, window: Window, step: int = 1) -> View:
        """The pixels of a window; with a step, one for each `step` x `step` of them, ceil(side / step) a side."""
        ...


class PhotoScene:
    """A scene in an image file of up to `most_px` pixels, decoded once. ImageError as `samlet.images.read_image`."""

    def __init__(self, path: Path, most_px: int = MAX_SCENE_PIXELS) -> None:
        self._image = decode_large(path, most_px)

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        image = self._image
        return (image.height, image.width) if isinstance(image, Image.Image) else (image.shape[0], image.shape[1])

    def read(self, window: Window, step: int = 1) -> View:
        """As `Scene.read`."""
        image = self._image
        if isinstance(image, Image.Image):
            part = image.crop(window.xyxy) if step == 1 else image.reduce(step, window.xyxy)
            return View(np.array(part.convert("RGB")))
        part = image[window.top : window.bottom, window.left : window.right]
        if step > 1:
            height, width = (ceil(side / step) for side in window.size_hw)
            rows, columns = (steps * step - side for steps, side in zip((height, width), window.size_hw, strict=True))
            part = cv2.copyMakeBorder(part, 0, rows, 0, columns, cv2.BORDER_REPLICATE)  # whole squares
            part = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
        return View(np.ascontiguousarray(part, np.uint8))


def is_scene(path: Path, most_px: int = MAX_SCENE_PIXELS) -> bool:
    """Whether an image file is too large to be read at once; ImageError if it is larger than `most_px`, or no image."""
    height, width = upright_size(path, str(path), most_px)
    return height * width > images.MAX_PIXELS
