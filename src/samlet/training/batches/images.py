"""Batches for classification: views of images, their targets, and batches mixed of two images each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from samlet.data import Broken, Sample
from samlet.data.classes import ClassSample
from samlet.errors import TrainingError
from samlet.preprocess import fitted, normalized
from samlet.spec import ImageSpec
from samlet.training.batches.augment import erase, rand_augment, random_crop
from samlet.training.batches.feed import Batches
from samlet.training.batches.order import Batch, Readable, choose, drawn, positions_of
from samlet.training.batches.views import generator, jitter_color
from samlet.training.class_configs import ClassifyConfig
from samlet.training.loop.processes import rank


@dataclass(frozen=True)
class ImageBatch(Batch):
    """`pixels` float32 [N, 3, S, S], `targets` [N, C]: what share of an image is of each class; sums are 1.

    `progress` is the share of the run that is done.
    """

    pixels: Tensor
    targets: Tensor
    progress: float


class ImageBatches(Batches[ImageBatch]):
    """Views of the images that are chosen; `learned`: by chance and mixed, else the middle of each image as it is."""

    def __init__(
        self,
        samples: Sequence[Sample],
        spec: ImageSpec,
        config: ClassifyConfig,
        broken: Broken | None = None,
        learned: bool = True,
    ) -> None:
        super().__init__(config, Readable(choose(samples, config), broken))
        self.config: ClassifyConfig = config
        self.learned = learned
        self._spec = spec

    def at(self, step: int, part: int = 0) -> ImageBatch:
        """See `Batches`. Each process mixes its own images, as timm's and EfficientViT's codes do."""
        canvas = self.config.canvas_at(step)
        made = [self._view(position, canvas) for position in positions_of(self.config, step, part)]
        names, pixels, labels = zip(*made, strict=True)
        count = len(self.config.classes)
        targets = smoothed(torch.tensor(labels), count, self.config.label_smoothing if self.learned else 0.0)
        images = torch.from_numpy(np.stack(pixels))
        if self.learned and self.config.mixup + self.config.cutmix > 0 and len(images) > 1:
            images, targets = mix(images, targets, self.config, generator(self.config.seed, "mix", step, part, rank()))
        return ImageBatch(names, images, targets, step / max(1, self.config.steps))

    def _view(self, position: int, canvas: int) -> tuple[str, NDArray[np.float32], int]:
        _, index = drawn(self.config, len(self.images), position // self.config.repeats)

        def make(sample: Sample) -> tuple[str, NDArray[np.float32], int]:
            if not isinstance(sample, ClassSample):
                raise TrainingError(f"{sample.name} has no class: give a folder of class folders, or a .csv.")
            rng = generator(self.config.seed, "view", position)
            image = sample.read_image()
            seen = view(image, canvas, rng, self.config) if self.learned else middle(image, canvas, self._spec)
            pixels = normalized(np.asarray(seen), self._spec)
            if self.learned and rng.random() < self.config.erase:
                erase(pixels, rng)
            return sample.name, pixels, sample.label

        return self.images.make(index, make)


def view(image: NDArray[np.uint8], canvas: int, rng: np.random.Generator, config: ClassifyConfig) -> Image.Image:
    """A random crop of an image [H, W, 3] on a canvas, mirrored, changed and recolored by chance."""
    box = random_crop(image.shape[:2], rng, config.min_area)
    how = Image.Resampling[config.resampling[int(rng.integers(len(config.resampling)))].upper()]
    picture = Image.fromarray(image).resize((canvas, canvas), how, box)
    if config.mirror and rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if config.rand_augment:
        number, strength, deviation = config.rand_augment
        picture = rand_augment(picture, rng, int(number), strength, deviation)
    elif config.color:
        picture = Image.fromarray(jitter_color(np.asarray(picture), rng, config.color))
    return picture


def middle(image: NDArray[np.uint8], canvas: int, spec: ImageSpec) -> NDArray[np.uint8]:
    """An image as the model sees it when it is used, on a canvas of another size perhaps: uint8 [S, S, 3]."""
    return fitted(image, replace(spec, canvas=canvas))


def smoothed(labels: Tensor, classes: int, smoothing: float) -> Tensor:
    """Labels [N] -> targets [N, C]: `smoothing` of each is spread over all classes."""
    if int(labels.max()) >= classes:
        raise TrainingError(f"an image is of class {int(labels.max())}, but the model has {classes} classes.")
    targets = torch.full((len(labels), classes), smoothing / classes)
    targets[torch.arange(len(labels)), labels] += 1 - smoothing
    return targets


def mix(images: Tensor, targets: Tensor, config: ClassifyConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mix each image with the one at the other end of the batch, and the targets in the same shares.

    `mixup` adds the two (arXiv 1710.09412), `cutmix` pastes a rectangle (arXiv 1905.04899); where both are on, a coin
    decides for the whole batch. The rectangle's share is what is inside the image.
    """
    if rng.random() >= config.mix_share:
        return images, targets
    cutting = config.cutmix > 0 and (config.mixup == 0 or rng.random() < 0.5)
    alpha = config.cutmix if cutting else config.mixup
    share = float(rng.beta(alpha, alpha))
    others = images.flip(0)
    if cutting:
        height, width = images.shape[2:]
        h, w = (int(side * math.sqrt(1 - share)) for side in (height, width))
        y, x = int(rng.integers(height)), int(rng.integers(width))
        top, bottom = max(0, y - h // 2), min(height, y + h // 2)
        left, right = max(0, x - w // 2), min(width, x + w // 2)
        mixed = images.clone()
        mixed[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (height * width)
    else:
        mixed = share * images + (1 - share) * others
    return mixed, share * targets + (1 - share) * targets.flip(0)
