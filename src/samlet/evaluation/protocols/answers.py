"""One question to a model: prompts in, of each prompt's candidates the one mask that counts out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Embedding, MaskLogits, each_in_image
from samlet.candidates import best_columns
from samlet.errors import InputError
from samlet.evaluation.metrics.overlap import mask_iou
from samlet.geometry.frames import ImageFrame
from samlet.predictor import Predictor
from samlet.prompts import Prompts
from samlet.segmenting import Refine
from samlet.spec import ModelSpec

PROMPTS_PER_BATCH = 32  # full-size masks of a batch are held at once: 32 of 10 megapixels are 320 MB

Select = Literal["iou", "stability", "single", "multimask", "oracle"]
"""Which mask counts: what `Predictor.predict` chooses by predicted IoU ("iou") or by stability, the single mask, of the
multimask ones always the one of best predicted IoU (the papers' way, also after several clicks), or of those the one
nearest to the truth (what a user could have picked)."""

Masks = list[NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model said to P prompts: full-size masks, predicted IoU [P], and low-resolution logits [P, L, L]."""

    masks: Masks
    iou: NDArray[np.float32]
    low_res: NDArray[np.float32]


def ask(predictor: Predictor, embedding: Embedding, prompts: Prompts, select: Select, truths: Masks) -> Answer:
    """One decoder call for P prompts; of each prompt's candidates the one that `select` takes."""
    logits = predictor.decode(embedding, prompts)
    columns = choose(logits, predictor.spec, select, prompts, truths, embedding.frame)
    chosen = logits.keep(np.arange(len(columns)), columns)
    masks = [image_logits > 0 for image_logits in each_in_image(chosen, embedding.frame)]
    return Answer(masks, chosen.iou[:, 0], chosen.low_res()[:, 0])


def ask_refined(
    predictor: Predictor, image: NDArray[np.uint8], embedding: Embedding, prompts: Prompts, refine: Refine
) -> Answer:
    """The clean masks of `Predictor.segment` for P prompts."""
    found = predictor.segment(image, prompts, embedding=embedding, refine=refine)
    assert found.low_res_logits is not None, "segment keeps the logits of its first answers"
    return Answer([mask.to_array() for mask in found], found.iou, found.low_res_logits)


def known_select(word: str, several_clicks: bool) -> Select:
    """The word itself, or what an earlier version's means now (DeprecationWarning); InputError for any other.

    `several_clicks`: whether the last prompt is two or more clicks without a box, where "iou" takes the single mask.
    """
    if word in ("best", "first"):
        now = select_of_earlier(word, several_clicks)
        warnings.warn(f'select="{word}" became select="{now}".', DeprecationWarning, 4)
        return now
    known: Any = word
    if known not in get_args(Select):
        raise InputError(f"Mask choice {word!r} is unknown; choose one of {', '.join(get_args(Select))}.")
    return known


def select_of_earlier(word: Any, several_clicks: bool) -> Any:
    """What a choice of 0.1.0 is called today; its "best" never took the single mask."""
    return {"first": "single", "best": "multimask" if several_clicks else "iou"}.get(word, word)


def choose(
    logits: MaskLogits, spec: ModelSpec, select: Select, prompts: Prompts, truths: Masks, frame: ImageFrame
) -> NDArray[np.int64]:
    """The column [P] of the mask that counts."""
    count = len(logits.iou)
    if select == "single":
        return np.full(count, spec.single_column)
    if select == "multimask":
        return best_columns(logits, spec, "iou")
    if select != "oracle":
        return best_columns(logits, spec, select, prompts.several_clicks)
    columns = np.array(spec.multimask)
    several = logits.keep(np.arange(count).repeat(len(columns)), np.tile(columns, count))
    candidates = (image_logits > 0 for image_logits in each_in_image(several, frame))
    true_iou = [mask_iou(mask, truths[index // len(columns)]) for index, mask in enumerate(candidates)]
    return columns[np.reshape(true_iou, (count, len(columns))).argmax(axis=1)]
