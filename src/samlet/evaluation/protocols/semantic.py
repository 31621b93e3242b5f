"""The protocol `semantic`: the class of each pixel, as Cityscapes and ADE20K are measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from samlet.data import Sample
from samlet.data.classes import IGNORED, ClassMapSample
from samlet.errors import DataError
from samlet.evaluation.metrics.classes import confusion, measure_pixels, summed
from samlet.evaluation.protocols.classification import check_no_masks
from samlet.evaluation.protocols.protocol import EvaluationProtocol
from samlet.evaluation.results import ImageResult, InstanceResult
from samlet.evaluation.selection import Scope, Selection, evenly
from samlet.evaluation.side_by_side import side_by_side
from samlet.evaluation.stopwatch import Stopwatch
from samlet.evaluation.tables import Row, Table, percent
from samlet.parsing import SemanticSegmenter
from samlet.prompts import Prompts
from samlet.spec import Task


@dataclass(frozen=True)
class Semantic(EvaluationProtocol):
    """mIoU: of each class the intersections and unions of all images are summed, then divided; the mean over classes.

    The image is resized as the model's spec says, answers are scaled to the label map. `window`: look at the image in
    its own size, through windows of that side in pixels.
    """

    window: int | None = None

    name: ClassVar[str] = "semantic"
    score: ClassVar[str | None] = "mIoU of images"
    task: ClassVar[Task] = "semantic_segmentation"

    @property
    def title(self) -> str:
        """The protocol with its options in words."""
        return self.name if self.window is None else f"{self.name}, windows of {self.window} pixels"

    def check(self, scope: Scope) -> None:
        """InputError for options that are about masks."""
        check_no_masks(self.name, scope)

    def choose(self, samples: Sequence[Sample], scope: Scope) -> Selection:
        """The images, at most `limit` of them."""
        return Selection(evenly(samples, scope.limit))

    def evaluate(self, predictor: SemanticSegmenter, sample: Sample) -> ImageResult:
        """Every pixel of one image; `instances` are the classes in it, by IoU within the image alone."""
        watch = Stopwatch()
        with watch.time("read"):
            image, truth = sample.read_image(), _truth(sample)
        with watch.time("predict"):
            answer = predictor.parse(image, self.window).labels
        with watch.time("score"):
            names = predictor.classes.names
            pairs = confusion(truth, answer, len(names))
            instances = _classes_of(pairs, names)
        return ImageResult(sample.name, sample.source, instances, watch.seconds, confusion=pairs)

    def aggregate(self, results: Sequence[ImageResult], selection: Selection) -> dict[str, Any]:
        """mIoU, pixel accuracy, and IoU and recall per class."""
        return measure_pixels(summed((result.confusion for result in results), len(selection.truth)), selection.truth)

    def tables(self, metrics: Mapping[str, Any]) -> list[Table]:
        """A row for each class, then their mean."""
        rows = [
            Row(name, (percent(row["iou"]), percent(row["recall"]), row["taken_for"] or "", f"{row['pixels']:,}"))
            for name, row in metrics["per_class"].items()
        ]
        accuracy = f"pixel accuracy {percent(metrics['pixel_accuracy'])}"
        mean = Row("mean of classes", (percent(metrics["miou"]), "", "", accuracy), strong=True)
        return [Table("", ("IoU", "recall", "most taken for", "pixels"), (*rows, mean))]

    def draw(
        self, predictor: SemanticSegmenter, sample: Sample, instances: Sequence[InstanceResult]
    ) -> list[NDArray[np.uint8]]:
        """The true pixels of a class beside those of the answer."""
        image, truth = sample.read_image(), _truth(sample)
        answer, names = predictor.parse(image, self.window).labels, predictor.classes.names
        nothing = Prompts(np.zeros((1, 0, 2)), np.zeros((1, 0), np.int64))
        numbers = [names.index(str(instance.id)) for instance in instances]
        # What nobody is judged by is not shown as a fault either.
        return [
            side_by_side(image, truth == number, (answer == number) & (truth != IGNORED), nothing) for number in numbers
        ]


def _truth(sample: Sample) -> NDArray[np.int32]:
    if not isinstance(sample, ClassMapSample):
        raise DataError(f"{sample.name} has no label map.")
    return sample.read_classes()


def _classes_of(pairs: Sequence[tuple[int, int, int]], names: Sequence[str]) -> tuple[InstanceResult, ...]:
    matrix = summed([tuple(pairs)], len(names))
    per_class = measure_pixels(matrix, names)["per_class"]
    return tuple(
        InstanceResult(name, float(row["pixels"]), row["iou"], None, category=name)
        for name, row in per_class.items()
        if row["iou"] is not None
    )
