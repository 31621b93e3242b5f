"""The protocol `box_from_detector`: each box that a detector found becomes one mask, and keeps the detector's score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Embedding
from samlet.data import Detection, Sample
from samlet.data.detections import read_detections, with_detections
from samlet.errors import InputError
from samlet.evaluation.metrics.average_precision import GroundTruth
from samlet.evaluation.metrics.means import measure
from samlet.evaluation.protocols.answers import PROMPTS_PER_BATCH, Select, ask, known_select
from samlet.evaluation.protocols.protocol import EvaluationProtocol
from samlet.evaluation.results import DetectionResult, ImageResult, InstanceResult
from samlet.evaluation.selection import Scope, Selection, evenly
from samlet.evaluation.stopwatch import Stopwatch
from samlet.evaluation.tables import Row, Table, percent
from samlet.geometry.boxes import clip, xywh_to_xyxy
from samlet.geometry.rle import encode
from samlet.predictor import Predictor
from samlet.prompts import Prompts


@dataclass(frozen=True)
class BoxFromDetector(EvaluationProtocol):
    """Average precision of the masks; `select` as for annotated boxes, except that there is no truth to be nearest to.

    Images without annotation are measured too: what is found there is wrong.
    """

    select: Select = "iou"

    name: ClassVar[str] = "box_from_detector"
    score: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "select", known_select(self.select, several_clicks=False))
        if self.select == "oracle":
            raise InputError("Protocol box_from_detector knows no truth: choose another mask than the oracle's.")

    @property
    def title(self) -> str:
        """The protocol with its option in words."""
        return f"{self.name}, select {self.select}"

    def check(self, scope: Scope) -> None:
        """InputError if the scope chooses among annotated masks, or names no detections."""
        if scope.max_masks_per_image is not None or not scope.crowds:
            raise InputError(
                "--max-masks-per-image and --no-crowds choose among annotated masks, but box_from_detector prompts "
                "every box of --detections: leave them out (a crowd never counts against average precision)."
            )
        if scope.detections is None:
            raise InputError("--protocol box_from_detector and --detections belong together: give both or neither.")

    def choose(self, samples: Sequence[Sample], scope: Scope) -> Selection:
        """All samples with a detector's boxes."""
        chosen, truth = detected(samples, self, scope.data, scope.detections, scope.limit)
        return Selection(chosen, {}, truth)

    def evaluate(self, predictor: Predictor, sample: Sample) -> ImageResult:
        """The masks of all detections of one image, in their order; an image without any is not even embedded.

        A box that does not meet the image gets an empty mask: it stays a false positive of the detector.
        """
        watch = Stopwatch()
        detections: list[DetectionResult] = []
        if sample.detections:
            with watch.time("read"):
                image = sample.read_image()
            with watch.time("embed"):
                embedding = predictor.embed(image)
            for start in range(0, len(sample.detections), PROMPTS_PER_BATCH):
                batch = sample.detections[start : start + PROMPTS_PER_BATCH]
                with watch.time("predict"):
                    detections += self._segment(predictor, embedding, batch)
        return ImageResult(sample.name, sample.source, (), watch.seconds, tuple(detections))

    def aggregate(self, results: Sequence[ImageResult], selection: Selection) -> dict[str, Any]:
        """Average precision against the annotation file."""
        return measure(results) | {"average_precision": selection.truth.measure(selection.samples, results)}

    def tables(self, metrics: Mapping[str, Any]) -> list[Table]:
        """Average precision by size, and how many detections it ranks."""
        rows = tuple(Row(kind, (percent(value),)) for kind, value in metrics["average_precision"].items())
        return [Table(f"{metrics['detections']:,} detections", ("average precision",), rows)]

    def draw(
        self,
        predictor: Predictor,  # noqa: ARG002
        sample: Sample,  # noqa: ARG002
        instances: Sequence[InstanceResult],  # noqa: ARG002
    ) -> list[NDArray[np.uint8]]:
        """None: a detector's box has no truth of its own to be shown beside."""
        return []

    def _segment(
        self, predictor: Predictor, embedding: Embedding, detections: Sequence[Detection]
    ) -> list[DetectionResult]:
        size_hw = embedding.frame.size_hw
        boxes_xyxy = clip(xywh_to_xyxy([detection.box_xywh for detection in detections]), size_hw)
        inside = (boxes_xyxy[:, :2] < boxes_xyxy[:, 2:]).all(axis=1)
        masks = [np.zeros(size_hw, bool)] * len(detections)
        iou = np.zeros(len(detections))
        if inside.any():
            answer = ask(predictor, embedding, Prompts.boxes(boxes_xyxy[inside]), self.select, [])
            iou[inside] = answer.iou
            for index, mask in zip(np.flatnonzero(inside), answer.masks, strict=True):
                masks[index] = mask
        return [
            DetectionResult(detection.category_id, detection.score, float(predicted), encode(mask)["counts"].decode())
            for detection, mask, predicted in zip(detections, masks, iou, strict=True)
        ]


def detected(
    samples: Sequence[Sample],
    protocol: EvaluationProtocol,
    data: Sequence[Path],
    detections: Path | None,
    limit: int | None,
) -> tuple[list[Sample], GroundTruth]:
    """The samples with a detector's boxes, at most `limit`, and what their masks are measured against.

    `data` is what was opened, one annotation file. Images without annotation stay: what is found there is wrong.
    Raises InputError if protocol, data and detections do not belong together; DataError as `read_detections`.
    """
    if protocol.name != BoxFromDetector.name or detections is None:
        raise InputError("--protocol box_from_detector and --detections belong together: give both or neither.")
    if len(data) != 1 or data[0].suffix.lower() != ".json":
        raise InputError("Average precision is measured against one COCO or LVIS .json: give that alone as --data.")
    truth = GroundTruth(data[0])
    found = read_detections(detections, truth.sizes_hw, truth.category_ids)
    return evenly(with_detections(samples, found, truth.most_per_image), limit), truth
