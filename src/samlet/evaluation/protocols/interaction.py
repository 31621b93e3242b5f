"""The prompts of a batch of annotations, growing by one simulated click a round."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from samlet.evaluation.protocols.clicks import next_click
from samlet.prompts import PointLabel, Prompts

Click = tuple[float, float, int]
"""x, y and the label of a click, in image pixels."""
FirstClick = Callable[[NDArray[np.bool_]], Click]
"""Where the first click goes, told the true mask, bool [H, W]."""


class Interaction:
    """Corners and clicks of P annotations of one image so far.

    `truths` are their masks, bool [H, W] each. `corners_xy` [P, 2, 2] are the boxes asked with, or None. Without a
    `first_click` the first round has no click.
    """

    def __init__(
        self,
        truths: Sequence[NDArray[np.bool_]],
        corners_xy: NDArray[np.float64] | None,
        first_click: FirstClick | None,
    ) -> None:
        self.truths = list(truths)
        self._corners_xy = np.zeros((len(truths), 0, 2)) if corners_xy is None else corners_xy
        self._first_click = first_click
        self._clicks: list[list[Click]] = [[] for _ in truths]

    def next_prompts(self, masks: Sequence[NDArray[np.bool_]] | None) -> Prompts:
        """The prompts of the next round: all so far plus one click where `masks`, the last answer, are wrong.

        None stands for "no answer yet" and gives the prompts of the first round.
        """
        if masks is not None:
            self._click_errors(masks)
        elif self._first_click is not None:
            for clicks, truth in zip(self._clicks, self.truths, strict=True):
                clicks.append(self._first_click(truth))
        return self.prompts()

    def prompts(self) -> Prompts:
        """All prompts so far, clicks before corners; P rows of equal length."""
        corner_labels = np.tile([PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT], (len(self._clicks), 1))
        clicks = np.reshape(self._clicks, (len(self._clicks), -1, 3))
        points_xy = np.concatenate([clicks[..., :2], self._corners_xy], axis=1)
        return Prompts(
            points_xy, np.concatenate([clicks[..., 2], corner_labels[:, : self._corners_xy.shape[1]]], axis=1)
        )

    def _click_errors(self, masks: Sequence[NDArray[np.bool_]]) -> None:
        for clicks, truth, mask in zip(self._clicks, self.truths, masks, strict=True):
            (x, y), label = next_click(truth, mask, [(int(x), int(y)) for x, y, _ in clicks])
            clicks.append((x, y, label))
