"""The prompts of a batch of annotations, growing by one simulated click a round."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from samlet.data import Annotation
from samlet.evaluation.protocols.clicks import mask_center, next_click
from samlet.evaluation.protocols.protocol import Start
from samlet.evaluation.selection import box_in_image
from samlet.geometry.frames import ImageFrame
from samlet.prompts import PointLabel, Prompts


class Dialogue:
    """Corners and clicks of P annotations of one image so far; `truths` are their masks, bool [H, W] each."""

    def __init__(self, start: Start, annotations: Sequence[Annotation], frame: ImageFrame) -> None:
        self.start: Start = start
        self.frame = frame
        self.truths: list[NDArray[np.bool_]] = [annotation.to_array() for annotation in annotations]
        boxes = [box_in_image(annotation, frame.size_hw) for annotation in annotations] if start == "box" else []
        self._corners_xy = np.reshape(boxes, (len(annotations), -1, 2))
        self._clicks: list[list[tuple[float, float, int]]] = [[] for _ in annotations]

    def next_prompts(self, masks: Sequence[NDArray[np.bool_]] | None) -> Prompts:
        """The prompts of the next round: all so far plus one click where `masks`, the last answer, are wrong.

        None stands for "no answer yet" and gives the prompts of the first round.
        """
        if masks is not None or self.start == "point":
            self._click_errors(masks)
        elif self.start == "center":
            self._click_centers()
        return self.prompts()

    def prompts(self) -> Prompts:
        """All prompts so far, clicks before corners; P rows of equal length."""
        corner_labels = np.tile([PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT], (len(self._clicks), 1))
        clicks = np.reshape(self._clicks, (len(self._clicks), -1, 3))
        points_xy = np.concatenate([clicks[..., :2], self._corners_xy], axis=1)
        return Prompts(
            points_xy, np.concatenate([clicks[..., 2], corner_labels[:, : self._corners_xy.shape[1]]], axis=1)
        )

    def _click_errors(self, masks: Sequence[NDArray[np.bool_]] | None) -> None:
        for index, truth in enumerate(self.truths):
            mask = np.zeros_like(truth) if masks is None else masks[index]
            clicked = [(int(x), int(y)) for x, y, _ in self._clicks[index]]
            (x, y), label = next_click(truth, mask, clicked)
            self._clicks[index].append((x, y, label))

    def _click_centers(self) -> None:
        for clicks, truth in zip(self._clicks, self.truths, strict=True):
            clicks.append((*center_on_canvas(truth, self.frame), PointLabel.FOREGROUND))


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
