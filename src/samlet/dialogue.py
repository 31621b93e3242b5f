"""Prompts as a dialogue: one more click a turn, each turn with the last answer as a hint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from samlet.candidates import best_columns, columns_for_click
from samlet.geometry.corrections import corrected
from samlet.geometry.frames import ImageFrame
from samlet.geometry.windows import Window
from samlet.prompts import PointLabel, Prompts

if TYPE_CHECKING:
    from samlet.backend import Embedding
    from samlet.candidates import Select
    from samlet.predictor import Predictor

PROMPTS_AT_ONCE = 64  # as in `Predictor.predict`


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers to P prompts over one picture: low-resolution logits float32 [P, L, L] and predicted IoU [P]."""

    low_res: NDArray[np.float32]
    iou: NDArray[np.float32]
    frame: ImageFrame

    def sample(self, row: int, window: Window, size_hw: tuple[int, int]) -> NDArray[np.float32]:
        """The logits of one answer over a window of the picture: float32 [h, w]."""
        return self.frame.sample_logits(self.low_res[row], window.xyxy, size_hw)


def answer(
    predictor: Predictor,
    embedding: Embedding,
    prompts: Prompts,
    select: Select,
    at_once: NDArray[np.bool_] | None = None,
) -> Answers:
    """The network's answers, as in a dialogue: one more click a turn, with the last answer as a hint.

    The first turn, of a box or one click, takes the best of the candidates; later ones leave no doubt what is meant and
    take the single mask, and change what the click lies in. So more clicks make it better. A hint of the user's own is
    the last answer already, to all but the last of several clicks. Prompts in `at_once`, bool [P], are one turn.
    """
    if prompts.mask_hint is not None:
        clicks = are_clicks(prompts.labels)
        low_res, iou = _decoded(predictor, embedding, prompts, clicks.sum(axis=1) > 1, select)
        for row in np.flatnonzero(clicks.sum(axis=1) > 1):
            click_xy = prompts.points_xy[row, clicks[row]][-1]
            low_res[row] = _corrected(prompts.mask_hint[row], low_res[row], click_xy, embedding.frame)
        return Answers(low_res, iou, embedding.frame)
    turns = turns_of(prompts.labels)
    if at_once is not None:
        turns[at_once] = 0
    if not turns.any():  # a box or a click each
        return Answers(*_decoded(predictor, embedding, prompts, np.zeros(len(turns), bool), select), embedding.frame)
    side = embedding.frame.low_res
    low_res, iou = np.empty((len(prompts), side, side), np.float32), np.empty(len(prompts), np.float32)
    for turn in range(int(turns.max()) + 1):
        rows = np.flatnonzero(turns.max(axis=1) >= turn)
        labels = np.where(turns[rows] <= turn, prompts.labels[rows], PointLabel.PADDING)
        asked = Prompts(prompts.points_xy[rows], labels, low_res[rows] if turn else None)
        now, iou[rows] = _decoded(predictor, embedding, asked, np.full(len(rows), turn > 0), select)
        for row, logits in zip(rows, now, strict=True):
            click_xy = prompts.points_xy[row, turns[row] == turn][0]
            low_res[row] = _corrected(low_res[row], logits, click_xy, embedding.frame) if turn else logits
    return Answers(low_res, iou, embedding.frame)


def _corrected(
    last: NDArray[np.float32], now: NDArray[np.float32], click_xy: NDArray[np.float64], frame: ImageFrame
) -> NDArray[np.float32]:
    """`corrected` for a click in pixels of the picture."""
    scale = frame.low_res / frame.prompt_canvas
    x, y = (frame.to_prompt(click_xy) * scale).tolist()
    return corrected(last, now, (x, y))


def turns_of(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """When each token [P, K] is first shown: boxes at once, clicks one after the other, a positive one first."""
    turns = np.zeros(labels.shape, np.int64)
    for row, of_prompt in enumerate(labels):
        clicks = np.flatnonzero(are_clicks(of_prompt))
        positive = clicks[of_prompt[clicks] == PointLabel.FOREGROUND]
        boxed = bool((of_prompt >= PointLabel.BOX_TOP_LEFT).any())
        if positive.size:
            clicks = np.concatenate([positive[:1], clicks[clicks != positive[0]]])
        turns[row, clicks] = np.arange(len(clicks)) + boxed
    return turns


def are_clicks(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which labels are those of clicks, and neither a box's corners nor padding."""
    return (labels == PointLabel.FOREGROUND) | (labels == PointLabel.BACKGROUND)


def are_one_click(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which prompts of labels [P, K] are a click on something, and nothing else: bool [P]."""
    tokens = (labels != PointLabel.PADDING).sum(axis=1)  # a box has two
    return (tokens == 1) & (labels == PointLabel.FOREGROUND).any(axis=1)


def _decoded(
    predictor: Predictor, embedding: Embedding, prompts: Prompts, single: NDArray[np.bool_], select: Select
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What `_chosen` says of all prompts, which are decoded some at a time."""
    low_res, iou = [], []
    for number, batch in enumerate(prompts.batches(PROMPTS_AT_ONCE)):
        rows = slice(number * PROMPTS_AT_ONCE, (number + 1) * PROMPTS_AT_ONCE)
        some_low_res, some_iou = _chosen(predictor, embedding, batch, single[rows], select)
        low_res.append(some_low_res)
        iou.append(some_iou)
    return np.concatenate(low_res), np.concatenate(iou)


def _chosen(
    predictor: Predictor, embedding: Embedding, prompts: Prompts, single: NDArray[np.bool_], select: Select
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits [P, L, L] and predicted IoU [P]: the single mask of a prompt, or the best of its candidates."""
    spec = predictor.spec
    logits = predictor.decode(embedding, prompts)
    columns = np.where(single, spec.single_column, best_columns(logits, spec, select))
    one_click = are_one_click(prompts.labels)
    if spec.click_size_penalty and select == "iou" and prompts.mask_hint is None and one_click.any():
        columns = np.where(one_click, columns_for_click(logits, spec.click_size_penalty, embedding.frame), columns)
    kept = logits.keep(np.arange(len(columns)), columns)
    return np.array(kept.low_res()[:, 0]), np.array(kept.iou[:, 0])
