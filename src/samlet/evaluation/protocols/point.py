"""The protocol `point`: clicks only, the first one where RITM's clicker puts it (EfficientViT-SAM)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from samlet.data import Annotation
from samlet.evaluation.protocols.clicks import next_click
from samlet.evaluation.protocols.interaction import Click, Interaction
from samlet.evaluation.protocols.prompted import PromptedProtocol, truths_of
from samlet.geometry.frames import ImageFrame


@dataclass(frozen=True)
class Point(PromptedProtocol):
    """`clicks` counts all clicks, the first one included."""

    clicks: int = 1

    name: ClassVar[str] = "point"
    fewest_clicks: ClassVar[int] = 1

    @property
    def rounds(self) -> int:
        """One for each click."""
        return self.clicks

    def begin(self, annotations: Sequence[Annotation], frame: ImageFrame) -> Interaction:  # noqa: ARG002
        """A click in the middle of each mask."""
        return Interaction(truths_of(annotations), None, _first_click)


def _first_click(truth: NDArray[np.bool_]) -> Click:
    (x, y), label = next_click(truth, np.zeros_like(truth))
    return x, y, label
