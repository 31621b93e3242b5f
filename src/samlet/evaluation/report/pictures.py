"""The best and the worst answers of a run as pictures: the truth beside the prediction with its prompts.

Only numbers are kept during a run; the few answers shown are asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samlet.data import Sample
from samlet.evaluation.protocols.protocol import EvaluationProtocol
from samlet.evaluation.results import ImageResult, InstanceResult
from samlet.loading import Model

PER_SIDE = 6


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
    predictor: Model, samples: Sequence[Sample], results: Sequence[ImageResult], protocol: EvaluationProtocol
) -> tuple[list[Picture], list[Picture]]:
    """Pictures of the best and of the worst answers of a run, most extreme first."""
    by_name = {sample.name: sample for sample in samples}
    best, worst = extremes(results, worst=False), extremes(results, worst=True)
    drawn: dict[tuple[str, int | str], Picture] = {}
    for name in sorted({name for name, _ in best + worst}):  # image by image: one embedding for all its pictures
        shown = list({instance.id: instance for owner, instance in best + worst if owner == name}.values())
        for instance, pixels in zip(shown, protocol.draw(predictor, by_name[name], shown), strict=True):
            drawn[name, instance.id] = Picture(name, instance, pixels)
    return [drawn[name, i.id] for name, i in best], [drawn[name, i.id] for name, i in worst]
