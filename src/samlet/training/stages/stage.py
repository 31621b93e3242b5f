"""What a stage of training is: a module whose `forward` takes a batch and returns named losses, and what belongs to it.

A stage says how its student is made, what its batches are, who its teacher is (or nobody), what must be done before
the first step and after the last. A new stage is a subclass, a config and a line in `samlet.training.stages.registry`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from samlet.data import Broken, Sample
from samlet.nn.network import Network
from samlet.training.batches.feed import Batches
from samlet.training.stages.teacher import TeacherFile

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Start:
    """What a stage starts from, beside its config: weights, a teacher, and the run's device and output folder."""

    output: Path
    checkpoint: Path | None = None
    teacher: TeacherFile | None = None
    device: str | None = None


class Stage(nn.Module, ABC):
    """A batch in, named losses out: scalars, whose sum is minimized. A teacher is never among its submodules."""

    @classmethod
    @abstractmethod
    def open(cls, config: Any, start: Start) -> Stage:
        """The stage with its student and teacher, from their files. SamletError says what is wrong with one."""

    @property
    @abstractmethod
    def whole_student(self) -> Network:
        """The student with all its parts, also those that the stage does not train."""

    @abstractmethod
    def make_batches(self, samples: Sequence[Sample], config: Any, broken: Broken | None) -> Batches[Any]:
        """What the stage is fed of the samples. SamletError if they are of no use to it."""

    def make_held_out(self, samples: Sequence[Sample], config: Any, broken: Broken | None) -> Batches[Any]:
        """What the stage is fed of the held-out samples, of which `config` is one pass."""
        return self.make_batches(samples, config, broken)

    @abstractmethod
    def forward(self, batch: Any) -> dict[str, Tensor]:
        """The losses of a batch."""

    def begin(self, batches: Any) -> None:
        """Set what of the student depends on the data; called once, before optimizer and average are made."""

    def prepare(self, batches: Any, told: Told | None) -> None:
        """Do what is done once before the first step; `told(done, of)` hears how far it is."""

    def see_average(self, state: Mapping[str, Tensor]) -> None:
        """Hear of the averaged weights, by the stage's names; they change in place after every step."""

    def finish(self) -> None:
        """Turn the trained stage into the student that is saved."""
