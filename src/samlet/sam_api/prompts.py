"""Prompts as segment_anything takes them: separate arrays in prompt-canvas pixels, any of them absent.

They are looser than `samlet.Prompts`: they may lie outside the image, padding points are the caller's own, and no
prompt at all is legal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.errors import PromptError
from samlet.prompts import ABSENT_LABEL, PointLabel
from samlet.tokens import PromptTokens

POINT_LABELS = (PointLabel.PADDING, PointLabel.BACKGROUND, PointLabel.FOREGROUND)


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """B prompts: points [B, N, 2] (x, y) with labels [B, N] (1, 0, or -1: padding), boxes XYXY [B, 4], low-resolution
    logits [B, 1, L, L] (or [1, 1, L, L] for all), L being `low_res`. Nothing at all is one empty prompt.

    PromptError unless the shapes are these and fit one another.
    """

    points_xy: NDArray[np.float64] | None = None
    labels: NDArray[np.float64] | None = None
    boxes_xyxy: NDArray[np.float64] | None = None
    mask_hint: NDArray[np.float64] | None = None
    low_res: int = 256

    def __post_init__(self) -> None:
        if self.points_xy is not None or self.labels is not None:
            _check_points(self.points_xy, self.labels)
        if self.boxes_xyxy is not None and (self.boxes_xyxy.ndim != 2 or self.boxes_xyxy.shape[1] != 4):
            raise PromptError(f"Boxes have the shape {list(self.boxes_xyxy.shape)}: give [B, 4] (XYXY).")
        if self.mask_hint is not None and self.mask_hint.shape[1:] != (1, self.low_res, self.low_res):
            raise PromptError(
                f"mask_input has the shape {list(self.mask_hint.shape[1:])}: give low-resolution logits "
                f"{[1, self.low_res, self.low_res]}."
            )
        if len(set(self._counts().values())) > 1:
            numbers = " and ".join(f"{count} prompts by {name}" for name, count in self._counts().items())
            raise PromptError(f"There are {numbers}: give as many of each.")

    def __len__(self) -> int:
        return next(iter(self._counts().values()), 1)

    def tokens(self) -> PromptTokens:
        """The same prompts as a decoder takes them; SAM's padding token stands where there is no box."""
        places, meanings = [], []
        if self.points_xy is not None and self.labels is not None:
            places.append(self.points_xy)
            meanings.append(self.labels)
        if self.boxes_xyxy is not None:
            places.append(self.boxes_xyxy.reshape(-1, 2, 2))
            meanings.append(np.tile([PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT], (len(self), 1)))
        else:
            # No prompt means no token in SAM; one that attention ignores is the same, and keeps T above zero.
            places.append(np.zeros((len(self), 1, 2)))
            meanings.append(np.full((len(self), 1), ABSENT_LABEL if self.points_xy is None else PointLabel.PADDING))
        return PromptTokens(
            np.concatenate(places, axis=1).astype(np.float32),
            np.concatenate(meanings, axis=1).astype(np.int64),
            self._hint(),
        )

    def _hint(self) -> NDArray[np.float32] | None:
        """The mask hint of each prompt, float32 [B, L, L]."""
        if self.mask_hint is None:
            return None
        return np.broadcast_to(self.mask_hint[:, 0], (len(self), self.low_res, self.low_res)).astype(np.float32)

    def _counts(self) -> dict[str, int]:
        given = {"points": self.points_xy, "boxes": self.boxes_xyxy, "mask_input": self.mask_hint}
        counts = {name: len(array) for name, array in given.items() if array is not None}
        if counts.get("mask_input") == 1:
            del counts["mask_input"]  # one hint serves every prompt
        return counts


def as_array(values: Any, name: str) -> NDArray[np.float64]:
    """Numbers, or a torch tensor on any device, as float64; PromptError unless all are finite."""
    if hasattr(values, "detach"):  # a torch tensor, of any type, with or without gradient
        values = values.detach().cpu().double().numpy()
    if not isinstance(values, (np.ndarray, list, tuple)):
        raise PromptError(f"{name} is {values!r}: give an array of numbers.")
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise PromptError(f"{name} is not a regular array of numbers.") from None
    if not np.isfinite(array).all():
        raise PromptError(f"{name} contains {array[~np.isfinite(array)][0]}: every value must be a finite number.")
    return array


def one_box(box: Any) -> NDArray[np.float64]:
    """A single box [4] or [1, 4] as float64."""
    array = as_array(box, "box")
    if array.size != 4:
        raise PromptError(f"box has the shape {list(array.shape)}: give one [4] (XYXY); predict_torch takes several.")
    return array


def _check_points(points_xy: NDArray[np.float64] | None, labels: NDArray[np.float64] | None) -> None:
    if points_xy is None or labels is None:
        raise PromptError("point_coords and point_labels go together: give both or neither.")
    if points_xy.ndim != 3 or points_xy.shape[-1] != 2 or labels.shape != points_xy.shape[:2]:
        raise PromptError(
            f"Points {list(points_xy.shape[1:])} with labels {list(labels.shape[1:])} do not fit: "
            "give [N, 2] (x, y) and [N] for each prompt."
        )
    wrong = labels[~np.isin(labels, POINT_LABELS)]
    if wrong.size:
        raise PromptError(f"A point's label is {wrong[0]:g}: use 1 (foreground), 0 (background) or -1 (padding).")
