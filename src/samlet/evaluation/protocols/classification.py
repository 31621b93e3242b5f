"""The protocol `classification`: which class a model gives a whole image, as the papers measure ImageNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from samlet.classifying import Classifier
from samlet.data import Sample
from samlet.data.classes import ClassSample
from samlet.errors import InputError
from samlet.evaluation.metrics.classes import TOP, measure_images
from samlet.evaluation.protocols.protocol import EvaluationProtocol
from samlet.evaluation.results import ImageResult, InstanceResult
from samlet.evaluation.selection import Scope, Selection, evenly
from samlet.evaluation.stopwatch import Stopwatch
from samlet.evaluation.tables import Row, Table, percent
from samlet.spec import Task


@dataclass(frozen=True)
class Classification(EvaluationProtocol):
    """Top-1 and top-5. The image is resized and cropped as the model's spec says; there are no options."""

    name: ClassVar[str] = "classification"
    score: ClassVar[str | None] = "top-1"
    task: ClassVar[Task] = "classification"

    @property
    def title(self) -> str:
        """Its name."""
        return self.name

    def check(self, scope: Scope) -> None:
        """InputError for options that are about masks."""
        check_no_masks(self.name, scope)

    def choose(self, samples: Sequence[Sample], scope: Scope) -> Selection:
        """The images, at most `limit` of them."""
        return Selection(evenly(samples, scope.limit))

    def evaluate(self, predictor: Classifier, sample: Sample) -> ImageResult:
        """The best classes of one image."""
        watch = Stopwatch()
        with watch.time("read"):
            image = sample.read_image()
        with watch.time("predict"):
            logits = predictor.logits([image])[0]
        best = np.argsort(-logits, kind="stable")[:TOP]
        label = sample.label if isinstance(sample, ClassSample) else None
        return ImageResult(
            sample.name, sample.source, (), watch.seconds, label=label, ranked=tuple(int(i) for i in best)
        )

    def aggregate(self, results: Sequence[ImageResult], selection: Selection) -> dict[str, Any]:
        """Top-1, top-5 and their like per class."""
        answers = [(result.label, result.ranked) for result in results if result.label is not None]
        return measure_images(answers, selection.truth)

    def tables(self, metrics: Mapping[str, Any]) -> list[Table]:
        """The set in one table, classes in one that is folded up."""
        images = sum(row["images"] for row in metrics["per_class"].values())
        rates = tuple(percent(metrics[name]) for name in ("top_1", "top_5", "mean_of_classes"))
        whole = Row("all", (*rates, f"{images:,}"))
        rows = [
            Row(name, (percent(row["top_1"]), row["taken_for"] or "", f"{row['images']:,}"))
            for name, row in metrics["per_class"].items()
        ]
        mean = Row("mean of classes", (percent(metrics["mean_of_classes"]), "", ""), strong=True)
        return [
            Table("", ("top-1", "top-5", "mean of classes", "images"), (whole,)),
            Table("Classes", ("top-1", "most taken for", "images"), (*rows, mean), folded=True),
        ]

    def draw(self, predictor: Any, sample: Sample, instances: Sequence[InstanceResult]) -> list[NDArray[np.uint8]]:
        """Nothing: an image has one answer, and the table says which."""
        del predictor, sample, instances
        return []

    def scores_of(self, result: ImageResult) -> list[float]:
        """1 for a hit, 0 for none."""
        return [float(result.ranked[0] == result.label)]


def check_no_masks(name: str, scope: Scope) -> None:
    """InputError for options of a scope that are about masks."""
    if scope.detections is not None:
        raise InputError("--protocol box_from_detector and --detections belong together: give both or neither.")
    if scope.max_masks_per_image is not None or not scope.crowds:
        raise InputError(f"Protocol {name} knows no masks: leave --max-masks-per-image and --no-crowds.")
