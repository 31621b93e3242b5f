"""Prompts: what the user points at. Points and box corners in image pixels, x before y, and what each one means.

Knows shapes, labels and ranges. Does not know how a decoder embeds a token.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from samlet.errors import PromptError
from samlet.geometry.frames import ImageFrame
from samlet.opencv import cv2

ABSENT_LABEL = -10
"""Label of a token that only fills up a row of `Prompts.tokens()`; the decoder masks it out of attention."""
BOX_OVERHANG_PX = 1.0
"""How far a box may reach beyond the image: it is clipped. More is taken for a mistake."""

HINT_SCALE = 10.0
"""Of the logits that stand for a given mask: inside +10, outside -10, as SAM 2 scales masks that it is shown."""


class PointLabel(IntEnum):
    """What a token means, with SAM's numbers."""

    PADDING = -1
    BACKGROUND = 0
    FOREGROUND = 1
    BOX_TOP_LEFT = 2
    BOX_BOTTOM_RIGHT = 3


_LEAST_LABEL, _LARGEST_LABEL = int(min(PointLabel)), int(max(PointLabel))


@dataclass(frozen=True, eq=False)
class Prompts:
    """P prompts for one image, each asking for one object. Immutable: arrays are read-only copies.

    `points_xy` float64 [P, K, 2] in image pixels; `labels` int64 [P, K], PointLabel, where PADDING fills a short row;
    `mask_hint` float32 [P, L, L] low-res logits of an earlier answer, or None.
    Use `Prompts.points`, `Prompts.boxes` and `Prompts.stack`; the constructor is for arrays already in this form.
    Raises PromptError.
    """

    points_xy: NDArray[np.float64]
    labels: NDArray[np.int64]
    mask_hint: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        points_xy = _numbers(self.points_xy, "points")
        labels = _numbers(self.labels, "labels")
        _check_form(points_xy, labels)
        hint = None if self.mask_hint is None else _hint(self.mask_hint, len(points_xy))
        for name, array, kind in (("points_xy", points_xy, np.float64), ("labels", labels, np.int64)):
            object.__setattr__(self, name, _frozen(array, kind))
        object.__setattr__(self, "mask_hint", hint)

    @classmethod
    def points(cls, points_xy: ArrayLike, labels: ArrayLike | None = None) -> Prompts:
        """Points [K, 2] of one prompt, or [P, K, 2] of P prompts; labels of the same shape without the 2.

        1 is foreground (the default), 0 background.
        """
        points = _numbers(points_xy, "points")
        if points.size == 0:
            raise PromptError("No prompt given: give at least one point or one box.")
        if points.ndim not in (2, 3) or points.shape[-1] != 2:
            raise PromptError(f"Points must have the shape [K, 2] or [P, K, 2] (x, y), not {list(points.shape)}.")
        clicks = _click_labels(labels, points.shape[:-1])
        return cls(points.reshape(-1, *points.shape[-2:]), clicks.reshape(-1, clicks.shape[-1]).astype(np.int64))

    @classmethod
    def boxes(
        cls, boxes_xyxy: ArrayLike, points_xy: ArrayLike | None = None, labels: ArrayLike | None = None
    ) -> Prompts:
        """A box [4] or B boxes [B, 4], each one prompt; points [K, 2], if any, belong to every box.

        Boxes are XYXY pixels: left, top, right, bottom. In a row the points come first, then the two corners.
        """
        boxes = _numbers(boxes_xyxy, "boxes")
        if boxes.size == 0:
            raise PromptError("No prompt given: give at least one point or one box.")
        if boxes.ndim not in (1, 2) or boxes.shape[-1] != 4:
            raise PromptError(f"Boxes must have the shape [4] or [B, 4] (XYXY pixels), not {list(boxes.shape)}.")
        corners = boxes.reshape(-1, 2, 2)
        corner_labels = np.tile([PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT], (len(corners), 1))
        if points_xy is None:
            if labels is not None:
                raise PromptError("Labels are given but no points: labels say what points mean, boxes need none.")
            return cls(corners, corner_labels)
        clicks = cls.points(points_xy, labels)
        if len(clicks) != 1:
            shape = list(np.shape(points_xy))
            raise PromptError(f"Points beside boxes must have the shape [K, 2], not {shape}: they belong to every box.")
        return cls(
            np.concatenate([np.repeat(clicks.points_xy, len(corners), axis=0), corners], axis=1),
            np.concatenate([np.repeat(clicks.labels, len(corners), axis=0), corner_labels], axis=1),
        )

    @classmethod
    def stack(cls, prompts: Sequence[Prompts]) -> Prompts:
        """Several prompts as one; rows of different length are filled up. All or none carry a mask hint."""
        if not prompts:
            raise PromptError("No prompt given: give at least one point or one box.")
        if len(prompts) == 1:
            return prompts[0]
        hints = [prompt.mask_hint for prompt in prompts if prompt.mask_hint is not None]
        if len(hints) not in (0, len(prompts)):
            raise PromptError("Some of the prompts carry a mask hint and some do not: run them in two calls.")
        width = max(prompt.labels.shape[1] for prompt in prompts)
        points = [_fill_up(prompt.points_xy, width, 0) for prompt in prompts]
        labels = [_fill_up(prompt.labels, width, PointLabel.PADDING) for prompt in prompts]
        return cls(np.concatenate(points), np.concatenate(labels), np.concatenate(hints) if hints else None)

    def __len__(self) -> int:
        return len(self.points_xy)

    def batches(self, size: int) -> Iterator[Prompts]:
        """The prompts in their order, at most `size` at a time; one empty batch if there are none."""
        if len(self) <= size:
            yield self
            return
        for start in range(0, max(len(self), 1), size):
            rows = slice(start, start + size)
            yield Prompts(
                self.points_xy[rows], self.labels[rows], None if self.mask_hint is None else self.mask_hint[rows]
            )

    def with_mask_hint(self, logits: ArrayLike) -> Prompts:
        """The same prompts with low-res logits [P, L, L] of an earlier answer; [L, L] for a single prompt."""
        hint = _numbers(logits, "mask hint")
        return replace(self, mask_hint=hint[None] if hint.ndim == 2 else hint)

    def with_mask(self, masks: ArrayLike, frame: ImageFrame) -> Prompts:
        """The same prompts, each with a mask of its object: bool or 0 and 1, [P, H, W], or [H, W] for a single prompt.

        The masks are in image pixels; `frame` is that of the image's embedding (`embedding.frame`). PromptError if they
        are of another size.
        """
        array = _numbers(masks, "mask")
        array = array[None] if array.ndim == 2 else array
        if array.shape != (len(self), *frame.size_hw):
            raise PromptError(
                f"The masks have the shape {list(array.shape)}: {len(self)} prompt(s) about this image take "
                f"{[len(self), *frame.size_hw]}, one mask of the image's size each."
            )
        return replace(self, mask_hint=np.stack([mask_to_hint(mask > 0, frame) for mask in array]))

    @property
    def several_clicks(self) -> NDArray[np.bool_]:
        """Which prompts are two or more clicks and no box, and so leave little doubt what is meant: bool [P]."""
        clicks = (self.labels == PointLabel.FOREGROUND) | (self.labels == PointLabel.BACKGROUND)
        return (clicks.sum(axis=1) > 1) & ~(self.labels >= PointLabel.BOX_TOP_LEFT).any(axis=1)

    def clipped(self, size_hw: tuple[int, int]) -> Prompts:
        """The same prompts, box corners that overhang an image of `size_hw` moved to its border."""
        corner = (self.labels >= PointLabel.BOX_TOP_LEFT)[..., None]
        inside = self.points_xy.clip(0, [size_hw[1], size_hw[0]])
        if (inside == self.points_xy)[corner[..., 0]].all():
            return self
        return replace(self, points_xy=np.where(corner, inside, self.points_xy))

    def warn_if_normalized(self) -> None:
        """UserWarning if every coordinate is in 0..1 and some are fractions: they are meant to be pixels."""
        given = self.points_xy[self.labels != PointLabel.PADDING]
        if given.size and (given >= 0).all() and (given <= 1).all() and ((given > 0) & (given < 1)).any():
            warnings.warn(
                "All coordinates are between 0 and 1: prompts are in pixels of the image, so multiply shares by its "
                "width and height.",
                stacklevel=3,
            )

    def check(self, size_hw: tuple[int, int], low_res: int | None = None) -> None:
        """Raise PromptError unless every prompt says something and lies inside an image of `size_hw`.

        `low_res`: the side L of the model's logits, which a mask hint must have; None leaves that out.
        A point's pixel must exist (x < width); a box may overhang the border by up to `BOX_OVERHANG_PX`, as detectors
        write it, if some of it is inside.
        """
        real = self.labels != PointLabel.PADDING
        if len(self) == 0 or (self.mask_hint is None and not real.any(axis=1).all()):
            raise PromptError("No prompt given: give at least one point or one box.")
        if self.mask_hint is not None and low_res not in (None, self.mask_hint.shape[-1]):
            raise PromptError(
                f"The mask hint has the shape {list(self.mask_hint.shape)} but this model's low-res logits are "
                f"{[len(self), low_res, low_res]}: give those of an earlier answer of this model."
            )
        far_xy = np.array([size_hw[1], size_hw[0]])
        corner = self.labels >= PointLabel.BOX_TOP_LEFT
        low_xy = np.where(corner[..., None], -BOX_OVERHANG_PX, 0)
        beyond = np.where(corner[..., None], self.points_xy > far_xy + BOX_OVERHANG_PX, self.points_xy >= far_xy)
        # A box that lies in the overhang alone has nothing inside.
        beyond |= (self.labels == PointLabel.BOX_TOP_LEFT)[..., None] & (self.points_xy >= far_xy)
        beyond |= (self.labels == PointLabel.BOX_BOTTOM_RIGHT)[..., None] & (self.points_xy <= 0)
        outside = real & ((self.points_xy < low_xy) | beyond).any(axis=-1)
        if outside.any():
            row, column = np.argwhere(outside)[0]
            raise PromptError(_outside_sentence(self.points_xy[row, column], bool(corner[row, column]), size_hw))

    def tokens(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """What a decoder eats, in image pixels: points [P, T, 2] and labels [P, T].

        Per row its real points, then one PADDING token at (0, 0) if it has points but no box (as SAM does), then
        ABSENT_LABEL up to the longest row, so that ragged rows give the same masks as one call each.
        """
        real = self.labels != PointLabel.PADDING
        counts = real.sum(axis=1)
        padded = (counts > 0) & ~(self.labels == PointLabel.BOX_TOP_LEFT).any(axis=1)
        length = int((counts + padded).max(initial=0))
        points_xy = np.zeros((len(self), length, 2))
        labels = np.full((len(self), length), ABSENT_LABEL, np.int64)
        rows, columns = np.nonzero(real)
        places = (real.cumsum(axis=1) - 1)[rows, columns]
        points_xy[rows, places] = self.points_xy[rows, columns]
        labels[rows, places] = self.labels[rows, columns]
        labels[np.flatnonzero(padded), counts[padded]] = PointLabel.PADDING
        return points_xy, labels


def _numbers(values: Any, what: str) -> NDArray[np.float64]:
    if hasattr(values, "detach"):  # a torch tensor, of any type, on any device, with or without gradient
        values = values.detach().cpu().double().numpy()
    try:
        if isinstance(values, str | bytes):
            raise TypeError
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise PromptError(
            f"The {what} are not a regular array of numbers; join rows of different length with Prompts.stack."
        ) from None
    if not np.isfinite(array).all():
        raise PromptError(f"The {what} contain {array[~np.isfinite(array)][0]}: every value must be a finite number.")
    return array


def mask_to_hint(mask: NDArray[np.bool_], frame: ImageFrame) -> NDArray[np.float32]:
    """A mask bool [H, W] in image pixels as low-resolution logits float32 [L, L], padding included, for `mask_hint`."""
    height, width = frame.low_res_hw
    shrinks = height <= mask.shape[0] and width <= mask.shape[1]
    resampling = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    share = np.zeros((frame.low_res, frame.low_res), np.float32)
    share[:height, :width] = cv2.resize(mask.astype(np.float32), (width, height), interpolation=resampling)
    return HINT_SCALE * (2 * share - 1)


def _frozen(array: NDArray[Any], kind: type) -> NDArray[Any]:
    copy = np.array(array, kind)
    copy.flags.writeable = False
    return copy


def _click_labels(labels: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.float64]:
    if labels is None:
        return np.ones(shape)
    clicks = _numbers(labels, "labels")
    if clicks.shape != shape:
        raise PromptError(
            f"Labels of shape {list(clicks.shape)} do not fit points of shape {[*shape, 2]}: give one label per point."
        )
    wrong = clicks[(clicks != PointLabel.BACKGROUND) & (clicks != PointLabel.FOREGROUND)]
    if wrong.size:
        raise PromptError(f"A point's label is {wrong[0]:g}: use 1 for foreground or 0 for background.")
    return clicks


def _hint(values: Any, rows: int) -> NDArray[np.float32]:
    hint = _numbers(values, "mask hint")
    if hint.ndim != 3 or len(hint) != rows or hint.shape[1] != hint.shape[2]:
        side = hint.shape[-1] if hint.ndim > 1 and hint.shape[-1] == hint.shape[-2] else "L"
        raise PromptError(
            f"A mask hint for {rows} prompt(s) must have the shape [{rows}, {side}, {side}], as the model's low-res "
            f"logits, not {list(hint.shape)}: give the low-res logits of an earlier answer, or to with_mask a "
            "mask in image pixels."
        )
    return _frozen(hint, np.float32)


def _check_form(points_xy: NDArray[np.float64], labels: NDArray[np.float64]) -> None:
    if points_xy.ndim != 3 or points_xy.shape[-1] != 2 or labels.shape != points_xy.shape[:2]:
        raise PromptError(
            f"Prompts need points [P, K, 2] and labels [P, K], not {list(points_xy.shape)} and {list(labels.shape)}."
        )
    wrong = labels[(labels != np.rint(labels)) | (labels < _LEAST_LABEL) | (labels > _LARGEST_LABEL)]
    if wrong.size:
        raise PromptError(f"A label is {wrong[0]:g}: use the values of PointLabel, -1 to 3.")
    top_left, bottom_right = labels == PointLabel.BOX_TOP_LEFT, labels == PointLabel.BOX_BOTTOM_RIGHT
    if not top_left.any() and not bottom_right.any():
        return
    apart = bottom_right[:, :1].any() or top_left[:, -1:].any() or (top_left[:, :-1] != bottom_right[:, 1:]).any()
    if apart or (top_left.sum(axis=1) > 1).any():
        raise PromptError("A prompt takes one box, its top left corner directly before its bottom right one.")
    _check_boxes(np.concatenate([points_xy[top_left], points_xy[bottom_right]], axis=-1))


def _check_boxes(boxes_xyxy: NDArray[np.float64]) -> None:
    good = (boxes_xyxy[:, :2] < boxes_xyxy[:, 2:]).all(axis=-1)
    if good.all():
        return
    left, top, right, bottom = box = boxes_xyxy[~good][0]
    sentence = f"Box {_listed(box)} is empty or inverted: boxes are XYXY pixels (left, top, right, bottom)"
    if right > 0 and bottom > 0:
        sentence += f"; if it is XYWH, give {_listed([left, top, left + right, top + bottom])}"
    raise PromptError(f"{sentence}.")


def _outside_sentence(point_xy: NDArray[np.float64], corner: bool, size_hw: tuple[int, int]) -> str:
    height, width = size_hw
    x, y = point_xy
    what = "Box corner" if corner else "Point"
    sentence = f"{what} {_listed(point_xy)} lies outside the image, which is {width} x {height} pixels (x, y)"
    if 0 <= y < width and 0 <= x < height:
        return f"{sentence}: x comes first."
    return f"{sentence}."


def _listed(values: Any) -> str:
    return f"({', '.join(f'{value:.10g}' for value in values)})"


def _fill_up(rows: NDArray[Any], width: int, value: int) -> NDArray[Any]:
    if rows.shape[1] == width:
        return rows
    missing = [(0, 0), (0, width - rows.shape[1])] + [(0, 0)] * (rows.ndim - 2)
    return np.pad(rows, missing, constant_values=value)
