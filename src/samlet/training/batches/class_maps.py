"""Batches for semantic segmentation: squares of images at random scales, with the class of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from samlet.data import Broken, Sample
from samlet.data.classes import IGNORED, ClassMapSample
from samlet.errors import TrainingError
from samlet.preprocess import normalized
from samlet.spec import ImageSpec
from samlet.training.batches.feed import Batches
from samlet.training.batches.order import Batch, Readable, choose, drawn, positions_of
from samlet.training.batches.views import generator, jitter_color
from samlet.training.class_configs import SemanticConfig


@dataclass(frozen=True)
class ClassMapBatch(Batch):
    """`pixels` float32 [N, 3, S, S] and the classes of their pixels, int64 [N, S, S]; IGNORED ones do not count."""

    pixels: Tensor
    classes: Tensor


class ClassMapBatches(Batches[ClassMapBatch]):
    """Views of the images that are chosen; `learned`: by chance, else the whole of each image on the canvas."""

    def __init__(
        self,
        samples: Sequence[Sample],
        spec: ImageSpec,
        config: SemanticConfig,
        broken: Broken | None = None,
        learned: bool = True,
    ) -> None:
        super().__init__(config, Readable(choose(samples, config), broken))
        self.config: SemanticConfig = config
        self.learned = learned
        self._spec = spec

    def at(self, step: int, part: int = 0) -> ClassMapBatch:
        """See `Batches`."""
        canvas = self.config.canvas_at(step)
        made = [self._view(position, canvas) for position in positions_of(self.config, step, part)]
        names, pixels, classes = zip(*made, strict=True)
        return ClassMapBatch(names, torch.from_numpy(np.stack(pixels)), torch.from_numpy(np.stack(classes)))

    def _view(self, position: int, canvas: int) -> tuple[str, NDArray[np.float32], NDArray[np.int64]]:
        _, index = drawn(self.config, len(self.images), position)

        def make(sample: Sample) -> tuple[str, NDArray[np.float32], NDArray[np.int64]]:
            if not isinstance(sample, ClassMapSample):
                raise TrainingError(f"{sample.name} has no label map: give a folder of images and label maps.")
            image, classes = sample.read_image(), sample.read_classes()
            rng = generator(self.config.seed, "view", position)
            low, high = self.config.scales if self.learned else (1.0, 1.0)
            # Of a picture that is to be seen whole the long side counts.
            side = min(image.shape[:2]) if self.learned else max(image.shape[:2])
            scale = canvas / side * low * (high / low) ** rng.random()
            place_xy = rng.random(2) if self.learned else np.zeros(2)
            mirrored = self.learned and self.config.mirror and rng.random() < 0.5
            picture, target = cut(image, classes, canvas, scale, place_xy, mirrored)
            if self.learned and self.config.color:
                picture = jitter_color(picture, rng, self.config.color)
            pixels = normalized(picture, self._spec)
            pixels[:, target == _OUTSIDE] = 0
            return sample.name, pixels, np.where(target == _OUTSIDE, IGNORED, target).astype(np.int64)

        return self.images.make(index, make)


_OUTSIDE = -3


def cut(
    image: NDArray[np.uint8],
    classes: NDArray[np.int32],
    canvas: int,
    scale: float,
    place_xy: NDArray[np.float64],
    mirrored: bool,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """A square of an image [H, W, 3] and its classes [H, W], scaled by `scale`; both of canvas x canvas pixels.

    `place_xy` in 0..1 is where it lies between the image's ends. A smaller image lies in the upper left corner; what is
    outside of it has the class _OUTSIDE.
    """
    height, width = image.shape[:2]
    # Cut first, then scale: a small window of a large photo costs little.
    wide, high = min(float(width), canvas / scale), min(float(height), canvas / scale)
    left, top = (width - wide) * place_xy[0], (height - high) * place_xy[1]
    size = max(1, min(canvas, round(wide * scale))), max(1, min(canvas, round(high * scale)))
    box = (left, top, left + wide, top + high)
    picture = np.zeros((canvas, canvas, 3), np.uint8)
    target = np.full((canvas, canvas), _OUTSIDE, np.int32)
    scaled = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, box)
    picture[: size[1], : size[0]] = np.asarray(scaled)
    target[: size[1], : size[0]] = np.asarray(Image.fromarray(classes).resize(size, Image.Resampling.NEAREST, box))
    if mirrored:
        picture[: size[1], : size[0]] = picture[: size[1], : size[0]][:, ::-1].copy()
        target[: size[1], : size[0]] = target[: size[1], : size[0]][:, ::-1].copy()
    return picture, target
