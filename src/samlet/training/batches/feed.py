"""Batches as a data set of torch: batch `number` of a run depends on the seed and the number alone.

Number n is part n mod P of step n div P, where a step has P parts. So a run that goes on needs no state of its data,
and however many processes prepare them, batches are the same to the bit.
"""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from samlet.ahead import one_ahead
from samlet.data import Broken
from samlet.errors import DataError, SamletError, TrainingError
from samlet.training.batches.order import Batch, Readable
from samlet.training.config import TrainConfig

Made = TypeVar("Made", bound=Batch)


class Batches(Dataset[Made], ABC, Generic[Made]):
    """The batches of a run, made of what can be read of `images`.

    `notice` is a sentence about images that are left out, if any are. `needs_teacher`: a network works on them, so that
    they cannot be prepared in other processes.
    """

    notice: str | None = None
    needs_teacher = False

    def __init__(self, config: TrainConfig, images: Readable) -> None:
        self.config, self.images = config, images

    @abstractmethod
    def at(self, step: int, part: int = 0) -> Made:
        """The batch of a part of a step, for this process; depends on nothing but the seed."""

    def __len__(self) -> int:
        return self.config.steps * self.config.grad_accum_steps

    def __getitem__(self, number: int) -> Made:
        return self.at(*divmod(number, self.config.grad_accum_steps))

    def stream(self, first_step: int, workers: int = 0, pinned: bool = False) -> Iterator[Made]:
        """Batches from a step to the end of the run, prepared ahead by a thread or by so many `workers`.

        `pinned`: in memory that a GPU copies from by itself. Raises TrainingError for workers where there can be none.
        """
        numbers = range(first_step * self.config.grad_accum_steps, len(self))
        if workers:
            self.check_workers(workers)
            return _loaded(self, numbers, workers, pinned)
        return one_ahead(lambda n: self[n].pin_memory() if pinned else self[n], numbers)

    def check_workers(self, workers: int) -> None:
        """TrainingError if the batches cannot be prepared in other processes."""
        if workers and self.needs_teacher:
            raise TrainingError(
                f"{self.config.stage} asks its teacher while it prepares a batch, which other processes cannot: use "
                "--workers 0."
            )


class _InWorker(Dataset[Any]):
    """In a worker: a batch, or what is wrong, and the images found to be broken so far, which the run counts."""

    def __init__(self, batches: Batches[Any]) -> None:
        self.batches = batches

    def __getitem__(self, number: int) -> tuple[Batch | SamletError, dict[str, str]]:
        made: Batch | SamletError
        try:
            made = self.batches[number]
        except SamletError as error:  # as it is: torch would put its own words around it
            made = error
        return made, dict(self.batches.images.broken.reasons)


def _loaded(batches: Batches[Made], numbers: range, workers: int, pinned: bool) -> Iterator[Made]:
    forks = sys.platform == "linux" and "fork" in multiprocessing.get_all_start_methods()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # more workers than cores: as was asked for
        loader = DataLoader(
            _InWorker(batches),
            batch_size=None,
            sampler=numbers,
            num_workers=workers,
            pin_memory=pinned,
            worker_init_fn=_count_silently,
            multiprocessing_context="fork" if forks else None,  # shares the samples with the workers instead of copying
            generator=torch.Generator(),
        )
    for made, reasons in loader:
        for name, reason in reasons.items():
            batches.images.broken.add(name, DataError(reason))
        if isinstance(made, SamletError):
            raise made
        yield made


def _count_silently(_worker: int) -> None:
    """Let a worker pass over whatever is broken; the run says it, and counts it once."""
    info: Any = get_worker_info()
    info.dataset.batches.images.broken = Broken(sys.maxsize)
