"""Views of an image: a crop, perhaps mirrored, drawn from a seed so that every run and every resume sees the same.

Geometry is shared by student and teacher; color is changed for the student only, whose features should not depend
on it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from samlet.training.config import TrainConfig

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class View:
    """Crop corners in image pixels and whether the crop is mirrored left to right."""

    x0: int
    y0: int
    x1: int
    y1: int
    mirrored: bool

    def apply(self, array: NDArray[Scalar]) -> NDArray[Scalar]:
        """Cut [H, W, ...] to the view; a copy, contiguous."""
        cut = array[self.y0 : self.y1, self.x0 : self.x1]
        return np.ascontiguousarray(cut[:, ::-1] if self.mirrored else cut)


def generator(seed: int, *key: str | int) -> np.random.Generator:
    """A random generator that depends on the seed and the key alone."""
    return np.random.default_rng([seed, zlib.crc32("/".join(map(str, key)).encode())])


def draw_view(size_hw: tuple[int, int], name: str, index: int, config: TrainConfig) -> View:
    """View `index` of an image: the first is the whole image, later ones crop each side to `min_crop`..1 of it.

    With `zoom`, any view is a window with that chance and the whole image otherwise. Half of the views are mirrored,
    unless the config says that none is.
    """
    height, width = size_hw
    rng = generator(config.seed, "view", name, index)
    mirrored = bool(rng.random() < 0.5) and config.mirror
    whole = rng.random() >= config.zoom if config.zoom else index == 0
    if whole:
        return View(0, 0, width, height, mirrored)
    if config.zoom:
        crop_w, crop_h = _window(size_hw, rng, config.min_crop)
    else:
        crop_w, crop_h = (max(1, round(side * rng.uniform(config.min_crop, 1))) for side in (width, height))
    x0, y0 = int(rng.integers(0, width - crop_w + 1)), int(rng.integers(0, height - crop_h + 1))
    return View(x0, y0, x0 + crop_w, y0 + crop_h, mirrored)


def _window(size_hw: tuple[int, int], rng: np.random.Generator, smallest: float) -> tuple[int, int]:
    """Width and height of a window: `smallest`..1 of the image's long side, small and large alike likely.

    Its sides differ by a factor of up to 1.5, as those around objects do; it ends where the image does.
    """
    height, width = size_hw
    side = max(size_hw) * smallest ** rng.random()
    stretch = 1.5 ** rng.uniform(-0.5, 0.5)
    return min(width, max(1, round(side * stretch))), min(height, max(1, round(side / stretch)))


def jitter_color(image: NDArray[np.uint8], rng: np.random.Generator, strength: float) -> NDArray[np.uint8]:
    """Change brightness, contrast and saturation of uint8 RGB [H, W, 3], each by a factor within `strength` of 1."""
    picture = Image.fromarray(image)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(rng.uniform(1 - strength, 1 + strength))
    return np.asarray(picture)
