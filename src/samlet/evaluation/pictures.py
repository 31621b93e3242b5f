"""The best and the worst answers of a run as pictures: the truth beside the prediction with its prompts.

Only numbers are kept during a run; the few answers shown are asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlet.data import Sample
from samlet.drawing import overlay
from samlet.evaluation.protocols import Protocol
from samlet.evaluation.results import ImageResult, InstanceResult
from samlet.evaluation.run import converse
from samlet.geometry.rle import encode
from samlet.masks import Mask
from samlet.predictor import Predictor

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
    predictor: Predictor, samples: Sequence[Sample], results: Sequence[ImageResult], protocol: Protocol, worst: bool
) -> list[Picture]:
    """Pictures of the extremes of a run, most extreme first."""
    by_name = {sample.name: sample for sample in samples}
    return [
        Picture(name, instance, _draw_one(predictor, by_name[name], instance, protocol))
        for name, instance in extremes(results, worst)
    ]


def _draw_one(predictor: Predictor, sample: Sample, instance: InstanceResult, protocol: Protocol) -> NDArray[np.uint8]:
    image = sample.read_image()
    annotations = [annotation for annotation in sample.annotations if annotation.id == instance.id][:1]
    dialogue, answer = converse(predictor, predictor.embed(image), annotations, protocol)
    truth, prediction = dialogue.truths[0], answer.masks[0]
    rows, columns = _view(truth | prediction)
    left = overlay(image, [Mask(encode(truth))])[rows, columns]
    right = overlay(image, [Mask(encode(prediction))], dialogue.prompts())[rows, columns]
    return _side_by_side(left, right)


def _view(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of what both masks cover, with half as much around; never smaller than a thumb."""
    return _span(mask.max(axis=1)), _span(mask.max(axis=0))


def _span(covered: NDArray[np.bool_]) -> slice:
    first, last = np.flatnonzero(covered)[[0, -1]]
    margin = max((last - first) // 2, (_SMALLEST_VIEW_PX - (last - first)) // 2, 8)
    return slice(max(0, int(first - margin)), int(last + margin + 1))


def _side_by_side(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = left.shape[:2]
    size = max(1, round(width * _VIEW_HEIGHT_PX / height)), _VIEW_HEIGHT_PX
    views = [cv2.resize(view, size, interpolation=cv2.INTER_AREA) for view in (left, right)]
    gap = np.full((_VIEW_HEIGHT_PX, _GAP_PX, 3), 255, np.uint8)
    return np.hstack([views[0], gap, views[1]]).astype(np.uint8)
