"""The protocol `box`: the annotation's box, then corrections by clicks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from samlet.data import Annotation
from samlet.evaluation.protocols.interaction import Interaction
from samlet.evaluation.protocols.prompted import PromptedProtocol, truths_of
from samlet.evaluation.selection import box_in_image
from samlet.geometry.frames import ImageFrame


@dataclass(frozen=True)
class Box(PromptedProtocol):
    """The true box, cut at the image's border; `clicks` are corrections after it."""

    name: ClassVar[str] = "box"

    @property
    def rounds(self) -> int:
        """One for the box, one for each click."""
        return self.clicks + 1

    def begin(self, annotations: Sequence[Annotation], frame: ImageFrame) -> Interaction:
        """The boxes."""
        boxes_xyxy = [box_in_image(annotation, frame.size_hw) for annotation in annotations]
        return Interaction(truths_of(annotations), np.reshape(boxes_xyxy, (len(annotations), 2, 2)), None)
