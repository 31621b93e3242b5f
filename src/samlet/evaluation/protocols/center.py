"""The protocol `center`: EdgeSAM's first click at the center of the mask, then RITM's clicks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from samlet.data import Annotation
from samlet.evaluation.protocols.clicks import mask_center
from samlet.evaluation.protocols.interaction import Interaction
from samlet.evaluation.protocols.prompted import PromptedProtocol, truths_of
from samlet.geometry.frames import ImageFrame
from samlet.opencv import cv2
from samlet.prompts import PointLabel


@dataclass(frozen=True)
class Center(PromptedProtocol):
    """`clicks` counts all clicks, the first one included."""

    clicks: int = 1

    name: ClassVar[str] = "center"
    fewest_clicks: ClassVar[int] = 1

    @property
    def rounds(self) -> int:
        """One for each click."""
        return self.clicks

    def begin(self, annotations: Sequence[Annotation], frame: ImageFrame) -> Interaction:
        """A click at the center of each mask."""
        return Interaction(
            truths_of(annotations), None, lambda truth: (*center_on_canvas(truth, frame), PointLabel.FOREGROUND)
        )


def center_on_canvas(mask: NDArray[np.bool_], frame: ImageFrame) -> tuple[float, float]:
    """EdgeSAM's first point (x, y) in image pixels: the center of the mask enlarged to the prompt canvas.

    A mask so thin that nothing of it falls on the canvas keeps the center it has in the image.
    """
    height, width = frame.prompt_hw
    enlarged = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    if not enlarged.any():
        return mask_center(mask)
    x, y = mask_center(enlarged)
    return x * mask.shape[1] / width, y * mask.shape[0] / height
