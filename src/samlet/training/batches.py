"""Which images a step sees, and preparing the next batch while the current one is used.

Both are functions of the seed and the step alone, so a resumed run needs no state of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from samlet.data import Sample
from samlet.training.config import TrainConfig
from samlet.training.processes import count, rank
from samlet.training.sources import Picked
from samlet.training.views import generator

GRID = 64

Batch = TypeVar("Batch")


def choose(samples: Sequence[Sample], config: TrainConfig) -> Picked:
    """The images a run uses: all, or the first `config.images` of an order the seed gives."""
    order = generator(config.seed, "subset").permutation(len(samples))
    return Picked(samples, order[: config.images or None])


def drawn(config: TrainConfig, images: int, position: int) -> tuple[int, int]:
    """(epoch, index of the image) of the `position`-th image since the start of the run; epochs are permutations."""
    epoch, place = divmod(position, images)
    return epoch, int(_order(config.seed, epoch, images)[place])


@lru_cache(maxsize=2)  # a batch may span two epochs, and the order of eleven million images takes a while to draw
def _order(seed: int, epoch: int, images: int) -> NDArray[np.int64]:
    return generator(seed, "order", epoch).permutation(images)


def share(config: TrainConfig, step: int) -> range:
    """The positions, since the start of the run, of the images of a step that this process works on."""
    first = step * config.batch_size
    return range(first + rank(), first + config.batch_size, count())


def one_ahead(at: Callable[[int], Batch], first: int, end: int) -> Iterator[Batch]:
    """at(first), …, at(end - 1), each prepared in a thread while the one before it is used."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = pool.submit(at, first)
        for step in range(first, end):
            batch = pending.result()
            if step + 1 < end:
                pending = pool.submit(at, step + 1)
            yield batch


def valid_cells(content_hw: tuple[int, int], canvas: int, grid: int = GRID) -> NDArray[np.bool_]:
    """Which cells of a grid over the canvas have their centre on the image: bool [grid, grid]."""
    centres = (np.arange(grid) + 0.5) / grid * canvas
    return (centres[:, None] < content_hw[0]) & (centres[None, :] < content_hw[1])
