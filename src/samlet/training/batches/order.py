"""Which images a step sees: a function of the seed and the step alone, so a resumed run needs no state of the data.

A step's images are dealt out: first into `grad_accum_steps` parts, which run one after the other, then each part to the
processes. Every share has equally many images, so the mean over shares is the mean over images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samlet.data import Broken, Sample
from samlet.errors import DataError, TrainingError
from samlet.training.batches.sources import Picked
from samlet.training.batches.views import generator
from samlet.training.config import TrainConfig
from samlet.training.loop.processes import count, rank

Item = TypeVar("Item")
Made = TypeVar("Made", bound="Batch")
Config = TypeVar("Config", bound=TrainConfig)


@dataclass(frozen=True)
class Batch:
    """What a stage eats: `names` of the images, and the tensors that a subclass adds."""

    names: tuple[str, ...]

    def to(self: Made, device: torch.device) -> Made:
        """The same batch with its tensors on a device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {n: value.to(device, non_blocking=True) for n, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **moved)

    def pin_memory(self: Made) -> Made:
        """The same batch in memory that a GPU copies from by itself; torch's loader calls it by this name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{n: value.pin_memory() for n, value in values.items() if isinstance(value, Tensor)})


class Readable:
    """Samples by number. One that cannot be read is `broken` and replaced by the next, the same one in every run."""

    def __init__(self, samples: Sequence[Sample], broken: Broken | None = None) -> None:
        self._samples = samples
        self.broken = Broken() if broken is None else broken
        self._passed_over: set[int] = set()

    def __len__(self) -> int:
        return len(self._samples)

    def make(self, index: int, make: Callable[[Sample], Item]) -> Item:
        """What `make` makes of a sample, or of the next one that can be read; DataError if too many cannot.

        Chance must begin anew in each call of `make`: a resumed run does not meet the broken ones in the same order.
        """
        for place in (number % len(self) for number in range(index, index + len(self))):
            if place in self._passed_over:
                continue
            name = f"image {place}"
            try:
                sample = self._samples[place]  # of a shard, the record is read here
                name = sample.name
                return make(sample)
            except DataError as error:
                self._passed_over.add(place)
                self.broken.add(name, error)
        raise DataError(f"all {len(self)} images are broken; the last: {self.broken.last}")


def choose(samples: Sequence[Sample], config: TrainConfig) -> Picked:
    """The images a run learns from: all, or the first `config.images` of an order the seed gives; none held out.

    Raises TrainingError if none is left.
    """
    left = _subset_order(samples, config)[config.validation_images :]
    if not len(left):
        raise TrainingError(
            f"validation_images is {config.validation_images} of {len(samples)} images, which leaves none to train on: "
            "lower it, or bring more images."
        )
    return Picked(samples, left[: config.images or None])


def hold_out(samples: Sequence[Sample], config: TrainConfig) -> Picked:
    """The images a run never learns from, whose loss tells which checkpoint is the best."""
    return Picked(samples, _subset_order(samples, config)[: config.validation_images])


def one_pass(config: Config) -> Config:
    """The config of one pass over the held-out images, as they are seen at the end of a run."""
    steps = -(-config.validation_images // config.batch_size)
    canvases = ((1.0, config.canvases[-1][1]),)
    return replace(config, steps=steps, canvases=canvases, views=1, images=0, pool=0, validation_images=0)


def _subset_order(samples: Sequence[Sample], config: TrainConfig) -> NDArray[np.int64]:
    return generator(config.seed, "subset").permutation(len(samples))


def drawn(config: TrainConfig, images: int, position: int) -> tuple[int, int]:
    """(epoch, index of the image) of the `position`-th image since the start of the run; epochs are permutations.

    With a pool, the run begins anew after so many: a teacher has had time for no more.
    """
    epoch, place = divmod(position % config.pool if config.pool else position, images)
    return epoch, int(_order(config.seed, epoch, images)[place])


@lru_cache(maxsize=2)  # a batch may span two epochs, and the order of eleven million images takes a while to draw
def _order(seed: int, epoch: int, images: int) -> NDArray[np.int64]:
    return generator(seed, "order", epoch).permutation(images)


def positions_of(config: TrainConfig, step: int, part: int = 0) -> range:
    """The positions, since the start of the run, of the images that this process works on in a part of a step."""
    size = config.batch_size // config.grad_accum_steps
    first = step * config.batch_size + part * size
    return range(first + rank(), first + size, count())


def check_batch_size(config: TrainConfig) -> None:
    """TrainingError if the images of a step cannot be dealt out evenly."""
    shares = config.grad_accum_steps * count()
    if config.batch_size % shares:
        raise TrainingError(
            f"batch_size {config.batch_size} cannot be dealt out evenly to {config.grad_accum_steps} parts and "
            f"{count()} processes: use a multiple of {shares}."
        )


def valid_cells(content_hw: tuple[int, int], canvas: int, grid: int) -> NDArray[np.bool_]:
    """Which cells of a grid over the canvas have their center on the image: bool [grid, grid]."""
    centers = (np.arange(grid) + 0.5) / grid * canvas
    return (centers[:, None] < content_hw[0]) & (centers[None, :] < content_hw[1])
