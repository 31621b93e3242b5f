"""The best and the worst answers of a run as pictures: the truth beside the prediction with its prompts.

Only numbers are kept during a run; the few answers shown are asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from samlet.data import Annotation, Sample
from samlet.drawing import overlay
from samlet.evaluation.protocols.everything import nearest, propose
from samlet.evaluation.protocols.protocol import Protocol
from samlet.evaluation.results import ImageResult, InstanceResult
from samlet.evaluation.run import converse
from samlet.geometry.rle import encode
from samlet.masks import Mask
from samlet.predictor import Predictor
from samlet.prompts import Prompts

Shown: TypeAlias = tuple[NDArray[np.bool_], NDArray[np.bool_], Prompts]
"""The truth and the answer, bool [H, W] each, and the prompts that led to it."""

PER_SIDE = 6
_SMALLEST_VIEW_PX = 96
_VIEW_HEIGHT_PX = 300
_GAP_PX = 6


@dataclass(frozen=True, eq=False)
class Picture:
    """One answer to look at: a caption's facts, and uint8 RGB [H, W, 3] with the truth on the left."""

    name: str
    instance: InstanceResult
    pixels: NDArray[np.uint8]


def extremes(results: Sequence[ImageResult], worst: bool) -> list[tuple[str, InstanceResult]]:
    """Names and instances of the PER_SIDE highest (or lowest) true IoUs, one an image, the most extreme first."""
    sign = 1 if worst else -1
    chosen = [
        (result.name, min(result.instances, key=lambda instance: sign * instance.true_iou))
        for result in results
        if result.instances
    ]
    return sorted(chosen, key=lambda item: (sign * item[1].true_iou, item[0]))[:PER_SIDE]


def draw(
    predictor: Predictor, samples: Sequence[Sample], results: Sequence[ImageResult], protocol: Protocol
) -> tuple[list[Picture], list[Picture]]:
    """Pictures of the best and of the worst answers of a run, most extreme first."""
    by_name = {sample.name: sample for sample in samples}
    best, worst = extremes(results, worst=False), extremes(results, worst=True)
    drawn: dict[tuple[str, int | str], Picture] = {}
    for name in sorted({name for name, _ in best + worst}):  # image by image: one embedding for all its pictures
        image = by_name[name].read_image()
        answer = answers(predictor, image, protocol)
        for instance in {instance for owner, instance in best + worst if owner == name}:
            annotation = next(annotation for annotation in by_name[name].annotations if annotation.id == instance.id)
            pixels = side_by_side(image, *answer(annotation))
            drawn[name, instance.id] = Picture(name, instance, pixels)
    return [drawn[name, i.id] for name, i in best], [drawn[name, i.id] for name, i in worst]


def answers(predictor: Predictor, image: NDArray[np.uint8], protocol: Protocol) -> Callable[[Annotation], Shown]:
    """What the model says to any annotation of one image [H, W, 3], which is embedded (or segmented) once."""
    if protocol.start == "everything":
        masks = propose(predictor, image)
        return lambda annotation: _nearest_answer(masks, annotation)
    embedding = predictor.embed(image)

    def ask(annotation: Annotation) -> Shown:
        dialogue, answer = converse(predictor, embedding, [annotation], protocol)
        return dialogue.truths[0], answer.masks[0], dialogue.prompts()

    return ask


def _nearest_answer(masks: Sequence[Mask], annotation: Annotation) -> Shown:
    """The mask of everything mode nearest to the annotation, with the click that found it; nothing if there is none."""
    truth, mask = annotation.to_array(), nearest(masks, annotation.rle)
    if mask is None:
        return truth, np.zeros_like(truth), Prompts(np.zeros((1, 0, 2)), np.zeros((1, 0), np.int64))
    return truth, mask.to_array(), Prompts.points([mask.point_xy or (0.0, 0.0)])


def side_by_side(
    image: NDArray[np.uint8], truth: NDArray[np.bool_], prediction: NDArray[np.bool_], prompts: Prompts
) -> NDArray[np.uint8]:
    """The truth, and the prediction with its prompts, on the part of the image [H, W, 3] they lie in: uint8 RGB."""
    rows, columns = view(truth | prediction)
    crop = image[rows, columns]
    scale = _VIEW_HEIGHT_PX / crop.shape[0]
    size = max(1, round(crop.shape[1] * scale)), _VIEW_HEIGHT_PX
    # Enlarged before drawing: the lines of a small object would else cover it.
    enlarged = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC).astype(np.uint8)
    masks = [
        Mask(encode(cv2.resize(mask[rows, columns].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0))
        for mask in (truth, prediction)
    ]
    moved = Prompts((prompts.points_xy - [columns.start, rows.start]) * scale, prompts.labels)
    gap = np.full((_VIEW_HEIGHT_PX, _GAP_PX, 3), 255, np.uint8)
    return np.hstack([overlay(enlarged, masks[:1]), gap, overlay(enlarged, masks[1:], moved)])


def view(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the pixels that are set, with half as much around; never smaller than a thumb."""
    return _span(mask.max(axis=1)), _span(mask.max(axis=0))


def _span(covered: NDArray[np.bool_]) -> slice:
    first, last = np.flatnonzero(covered)[[0, -1]]
    margin = max((last - first) // 2, (_SMALLEST_VIEW_PX - (last - first)) // 2, 8)
    return slice(max(0, int(first - margin)), min(len(covered), int(last + margin + 1)))
