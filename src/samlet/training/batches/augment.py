"""Changes of a picture that leave its class as it is. Pillow images in and out; chance comes from the caller.

Sources: Inception's random crops; RandAugment (arXiv 1909.13719) with the changes and strengths that timm calls
`rand-m9-mstd0.5-inc1`: every change grows with its strength, and each is made with a chance of one half; random erasing
(arXiv 1708.04896) with noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

GRAY = (124, 116, 104)  # ImageNet's mean color fills what a turn or a shift lays open
STRONGEST = 10.0
CHANGED = 0.5
_ASPECT = (3 / 4, 4 / 3)
_TRIES = 10
_ERASED = (0.02, 1 / 3)
_ERASED_ASPECT = 0.3

Change = Callable[[Image.Image, float, float], Image.Image]


def random_crop(
    size_hw: tuple[int, int], rng: np.random.Generator, min_area: float
) -> tuple[float, float, float, float]:
    """A rectangle (left, top, right, bottom) of `min_area`..1 of an image, its sides as 3:4 to 4:3.

    Where none fits in ten tries: the middle, as much as that aspect allows.
    """
    height, width = size_hw
    for _ in range(_TRIES):
        area = height * width * rng.uniform(min_area, 1)
        aspect = math.exp(rng.uniform(math.log(_ASPECT[0]), math.log(_ASPECT[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, top, left + w, top + h
    w, h = min(width, height * _ASPECT[1]), min(height, width / _ASPECT[0])
    left, top = (width - w) / 2, (height - h) / 2
    return left, top, left + w, top + h


def rand_augment(
    picture: Image.Image, rng: np.random.Generator, number: int, strength: float, deviation: float
) -> Image.Image:
    """`number` changes drawn from `CHANGES`, each made with a chance of one half at about `strength` of 10."""
    for name in rng.choice(list(CHANGES), number):
        drawn = min(max(rng.normal(strength, deviation), 0.0), STRONGEST) / STRONGEST
        sign = 1.0 if rng.random() < CHANGED else -1.0
        if rng.random() < CHANGED:
            picture = CHANGES[str(name)](picture, drawn, sign)
    return picture


def erase(pixels: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Fill a random rectangle, 2 % to a third of normalized pixels [3, H, W], with noise; in place."""
    _, height, width = pixels.shape
    for _ in range(_TRIES):
        area = height * width * rng.uniform(*_ERASED)
        aspect = math.exp(rng.uniform(math.log(_ERASED_ASPECT), -math.log(_ERASED_ASPECT)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w < width and 0 < h < height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            pixels[:, top : top + h, left : left + w] = rng.normal(size=(3, h, w))
            return


def _enhance(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Change:
    return lambda picture, strength, sign: kind(picture).enhance(1 + 0.9 * strength * sign)


def _affine(matrix: Callable[[float, int, int], tuple[float, ...]]) -> Change:
    def change(picture: Image.Image, strength: float, sign: float) -> Image.Image:
        moved = matrix(strength * sign, *picture.size)
        return picture.transform(picture.size, Image.Transform.AFFINE, moved, Image.Resampling.BILINEAR, fillcolor=GRAY)

    return change


def _solarize_add(picture: Image.Image, strength: float, _: float) -> Image.Image:
    added = int(110 * strength)
    return picture.point([min(255, value + added) if value < 128 else value for value in range(256)] * 3)


CHANGES: Mapping[str, Change] = {
    "contrast by itself": lambda picture, _, __: ImageOps.autocontrast(picture),
    "equalize": lambda picture, _, __: ImageOps.equalize(picture),
    "invert": lambda picture, _, __: ImageOps.invert(picture),
    "rotate": lambda picture, strength, sign: picture.rotate(
        30 * strength * sign, Image.Resampling.BILINEAR, fillcolor=GRAY
    ),
    "posterize": lambda picture, strength, _: ImageOps.posterize(picture, max(1, 4 - int(4 * strength))),
    "solarize": lambda picture, strength, _: ImageOps.solarize(picture, 256 - int(256 * strength)),
    "solarize and add": _solarize_add,
    "color": _enhance(ImageEnhance.Color),
    "contrast": _enhance(ImageEnhance.Contrast),
    "brightness": _enhance(ImageEnhance.Brightness),
    "sharpness": _enhance(ImageEnhance.Sharpness),
    "shear x": _affine(lambda amount, _, __: (1, 0.3 * amount, 0, 0, 1, 0)),
    "shear y": _affine(lambda amount, _, __: (1, 0, 0, 0.3 * amount, 1, 0)),
    "shift x": _affine(lambda amount, width, _: (1, 0, 0.45 * amount * width, 0, 1, 0)),
    "shift y": _affine(lambda amount, _, height: (1, 0, 0, 0, 1, 0.45 * amount * height)),
}
