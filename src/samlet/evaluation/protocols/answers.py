"""One question to a model: prompts in, of each prompt's candidates the one mask that counts out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Embedding, MaskLogits, each_in_image
from samlet.errors import InputError
from samlet.evaluation.metrics.overlap import mask_iou
from samlet.geometry.frames import ImageFrame
from samlet.predictor import Predictor
from samlet.prompts import Prompts
from samlet.segmenting import Refine

PROMPTS_PER_BATCH = 32  # full-size masks of a batch are held at once: 32 of 10 megapixels are 320 MB

Select = Literal["best", "first", "stability", "oracle"]
"""Which mask counts: of three candidates the one of best predicted IoU, the single-mask answer, the most stable of the
three, or the one nearest to the truth (what a user could have picked)."""

Masks = list[NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model said to P prompts: full-size masks, predicted IoU [P], and low-resolution logits [P, 256, 256]."""

    masks: Masks
    iou: NDArray[np.float32]
    low_res: NDArray[np.float32]


def ask(predictor: Predictor, embedding: Embedding, prompts: Prompts, select: Select, truths: Masks) -> Answer:
    """One decoder call for P prompts; of each prompt's candidates the one that `select` takes."""
    logits = predictor.decode(embedding, prompts)
    columns = choose(logits, select, truths, embedding.frame)
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


def choose(logits: MaskLogits, select: Select, truths: Masks, frame: ImageFrame) -> NDArray[np.int64]:
    """The column [P] of the mask that counts: 0 is the single-mask answer, 1 to 3 the three candidates."""
    count = len(logits.iou)
    if select == "first":
        return np.zeros(count, np.int64)
    if select == "best":
        return 1 + logits.iou[:, 1:].argmax(axis=1)
    three = logits.keep(np.arange(count).repeat(3), np.tile([1, 2, 3], count))
    if select == "stability":
        return 1 + three.stability().reshape(count, 3).argmax(axis=1)
    candidates = (image_logits > 0 for image_logits in each_in_image(three, frame))
    true_iou = [mask_iou(mask, truths[index // 3]) for index, mask in enumerate(candidates)]
    return 1 + np.reshape(true_iou, (count, 3)).argmax(axis=1)
