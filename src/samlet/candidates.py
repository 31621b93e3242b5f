"""Which of a model's masks are its answer: one chooser for `predict`, `segment` and everything that is measured."""

from __future__ import annotations

import warnings
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from samlet.backend import MaskLogits
from samlet.errors import InputError
from samlet.geometry.frames import ImageFrame
from samlet.spec import ModelSpec

Candidates = Literal["best", "single", "multimask", "every"]
"""Masks of a prompt: the best one, the model's single mask, those of an ambiguous prompt (three in SAM), all it has."""

Select = Literal["iou", "stability"]
"""How the best is chosen: by predicted IoU, or by how little the mask changes with its threshold."""

FREE_SHARE = 0.3  # of the image: a mask up to here has no penalty for its size, as few things are larger
_EARLIER_WORDS: dict[str, Candidates] = {"all": "multimask", "four": "every"}


def known_candidates(word: str) -> Candidates:
    """The word itself, or what an earlier version's means now (DeprecationWarning); InputError for any other."""
    if word in _EARLIER_WORDS:
        now = _EARLIER_WORDS[word]
        warnings.warn(f'candidates="{word}" became candidates="{now}".', DeprecationWarning, 3)
        return now
    known: Any = word
    if known not in get_args(Candidates):
        raise InputError(f'candidates is {word!r}; it must be "best", "single", "multimask" or "every".')
    return known


def columns_of(spec: ModelSpec, candidates: Candidates) -> tuple[int, ...]:
    """The columns of `MaskLogits` that are asked for; for "best", those that are chosen from by predicted IoU."""
    every = tuple(range(spec.mask_tokens))
    return {"single": (spec.single_column,), "every": every}.get(candidates, spec.multimask)


def best_columns(
    logits: MaskLogits, spec: ModelSpec, select: Select, unambiguous: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """The column [P] of each prompt's best mask; InputError for an unknown `select`.

    "iou" compares the masks of ambiguous prompts, as SAM advises; prompts that are `unambiguous` (bool [P]) get the
    single mask. "stability" compares every mask of any prompt, as EdgeSAM, whose predicted IoU was not distilled.
    """
    if select == "stability":
        return logits.stability().argmax(axis=1)
    if select != "iou":
        raise InputError(f'select is {select!r}; it must be "iou" or "stability".')
    columns = np.array(spec.multimask)
    best = columns[logits.iou[:, columns].argmax(axis=1)]
    return best if unambiguous is None else np.where(unambiguous, spec.single_column, best)


def columns_for_click(logits: MaskLogits, size_penalty: float, frame: ImageFrame) -> NDArray[np.int64]:
    """The column [P] of the mask that answers one click: of the best predicted IoU, less `size_penalty` for its size.

    See `ModelSpec.click_size_penalty`. All masks of the prompts are made.
    """
    return less_for_size(logits.iou, shares_of(logits, frame), size_penalty).argmax(axis=1)


def shares_of(logits: MaskLogits, frame: ImageFrame) -> NDArray[np.float64]:
    """Which share of the image each mask takes, [P, M]."""
    height, width = frame.low_res_hw
    return (logits.low_res()[..., :height, :width] > 0).mean(axis=(2, 3))


def less_for_size(iou: NDArray[Any], shares: NDArray[Any], size_penalty: float) -> NDArray[Any]:
    """The predicted IoU of masks less a penalty for a large share of the image."""
    return iou - size_penalty * np.log(np.maximum(shares / FREE_SHARE, 1))


def answers(
    logits: MaskLogits,
    spec: ModelSpec,
    candidates: Candidates,
    select: Select,
    unambiguous: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the masks that are asked for, prompt by prompt."""
    rows = np.arange(len(logits.iou))
    if candidates == "best":
        return rows, best_columns(logits, spec, select, unambiguous)
    columns = columns_of(spec, candidates)
    return rows.repeat(len(columns)), np.tile(columns, len(rows))
