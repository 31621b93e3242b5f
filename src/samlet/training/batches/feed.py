"""Batches as a data set of torch: batch `number` of a run depends on the seed and the number alone.

Number n is part n mod P of step n div P, where a step has P parts. So a run that goes on needs no state of its data.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Generic, TypeVar

from torch.utils.data import Dataset

from samlet.training.batches.order import Batch, one_ahead
from samlet.training.config import TrainConfig

Made = TypeVar("Made", bound=Batch)


class Batches(Dataset[Made], ABC, Generic[Made]):
    """The batches of a run. `notice` is a sentence about images that are left out, if any are."""

    notice: str | None = None

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    @abstractmethod
    def at(self, step: int, part: int = 0) -> Made:
        """The batch of a part of a step, for this process; depends on nothing but the seed."""

    def __len__(self) -> int:
        return self.config.steps * self.config.accumulate

    def __getitem__(self, number: int) -> Made:
        return self.at(*divmod(number, self.config.accumulate))

    def stream(self, first_step: int) -> Iterator[Made]:
        """Batches from a step to the end of the run, each prepared while the one before it is used."""
        return one_ahead(self.__getitem__, first_step * self.config.accumulate, len(self))
