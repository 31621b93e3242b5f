"""The protocol `everything`: the recall of everything mode with the model's own parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from samlet.data import Annotation, Sample
from samlet.evaluation.metrics.means import measure
from samlet.evaluation.metrics.recall import PROPOSALS, measure_recall, nearest
from samlet.evaluation.protocols.protocol import EvaluationProtocol
from samlet.evaluation.results import ImageResult, InstanceResult
from samlet.evaluation.selection import Scope, Selection, annotation_of, choose_annotated
from samlet.evaluation.side_by_side import side_by_side
from samlet.evaluation.stopwatch import Stopwatch
from samlet.evaluation.tables import Table, iou_tables
from samlet.everything import MaskGenerator
from samlet.masks import Mask
from samlet.predictor import Predictor
from samlet.prompts import Prompts


@dataclass(frozen=True)
class Everything(EvaluationProtocol):
    """Prompts by its own grid and counts which annotated masks are found: it takes no options."""

    name: ClassVar[str] = "everything"
    score: ClassVar[str | None] = "mIoU"

    @property
    def title(self) -> str:
        """Its name."""
        return self.name

    def choose(self, samples: Sequence[Sample], scope: Scope) -> Selection:
        """The annotated samples with the masks that count."""
        return choose_annotated(samples, scope)

    def evaluate(self, predictor: Predictor, sample: Sample) -> ImageResult:
        """Everything mode on one image; embedding is part of the stage "predict".

        `true_iou` of an instance is that of the mask nearest to it; crowd annotations, which no mask can find, are no
        instances.
        """
        watch = Stopwatch()
        annotations = [annotation for annotation in sample.annotations if not annotation.crowd]
        with watch.time("read"):
            image = sample.read_image()
        with watch.time("predict"):
            masks = propose(predictor, image)
        with watch.time("score"):
            instances = measure_recall(masks, annotations)
        return ImageResult(sample.name, sample.source, tuple(instances), watch.seconds)

    def aggregate(self, results: Sequence[ImageResult], selection: Selection) -> dict[str, Any]:  # noqa: ARG002
        """Average recall, and the means of IoU with the nearest masks."""
        return measure(results)

    def tables(self, metrics: Mapping[str, Any]) -> list[Table]:
        """Recall and IoU by size; IoU by source and by category."""
        return iou_tables(metrics)

    def draw(
        self, predictor: Predictor, sample: Sample, instances: Sequence[InstanceResult]
    ) -> list[NDArray[np.uint8]]:
        """The truth beside the nearest mask with the click that found it."""
        image = sample.read_image()
        masks = propose(predictor, image)
        return [side_by_side(image, *_nearest_answer(masks, annotation_of(sample, found.id))) for found in instances]


def propose(predictor: Predictor, image: NDArray[np.uint8]) -> list[Mask]:
    """The masks of everything mode on an image [H, W, 3], highest predicted IoU first, at most 1000."""
    masks = MaskGenerator(predictor).generate(image)
    return sorted(masks, key=lambda mask: -(mask.iou or 0.0))[: max(PROPOSALS)]


def _nearest_answer(
    masks: Sequence[Mask], annotation: Annotation
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Prompts]:
    """The truth, the mask nearest to it and the click that found it; an empty mask if nothing was found."""
    truth, mask = annotation.to_array(), nearest(masks, annotation.rle)
    if mask is None:
        return truth, np.zeros_like(truth), Prompts(np.zeros((1, 0, 2)), np.zeros((1, 0), np.int64))
    return truth, mask.to_array(), Prompts.points([mask.point_xy or (0.0, 0.0)])
