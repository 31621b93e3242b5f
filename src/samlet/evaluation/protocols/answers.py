"""One question to a model: prompts in, of each prompt's candidates the one mask that counts out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

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

Select = Literal["best", "first", "stability", "oracle"]
"""Which mask counts: of three candidates the one of best predicted IoU, the single-mask answer, the most stable of
the four, or the one nearest to the truth (what a user could have picked)."""

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
    columns = choose(logits, predictor.spec, select, truths, embedding.frame)
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


def check_select(select: str) -> None:
    """InputError for a word that is none of `Select`."""
    if select not in get_args(Select):
        raise InputError(f"Mask choice {select!r} is unknown; choose one of {', '.join(get_args(Select))}.")


def choose(logits: MaskLogits, spec: ModelSpec, select: Select, truths: Masks, frame: ImageFrame) -> NDArray[np.int64]:
    """The column [P] of the mask that counts."""
    count = len(logits.iou)
    if select == "first":
        return np.full(count, spec.single_column)
    if select == "best":
        return best_columns(logits, spec, "iou")
    if select == "stability":
        return best_columns(logits, spec, "stability")
    columns = np.array(spec.multimask)
    several = logits.keep(np.arange(count).repeat(len(columns)), np.tile(columns, count))
    candidates = (image_logits > 0 for image_logits in each_in_image(several, frame))
    true_iou = [mask_iou(mask, truths[index // len(columns)]) for index, mask in enumerate(candidates)]
    return columns[np.reshape(true_iou, (count, len(columns))).argmax(axis=1)]
