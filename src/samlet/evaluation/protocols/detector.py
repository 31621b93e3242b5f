"""The protocol `box_from_detector`: each box that a detector found becomes one mask, and keeps the detector's score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from samlet.backend import Embedding
from samlet.data import Detection, Sample
from samlet.evaluation.protocols.answers import PROMPTS_PER_BATCH, ask
from samlet.evaluation.protocols.protocol import Policy
from samlet.evaluation.results import DetectionResult, ImageResult
from samlet.evaluation.stopwatch import Stopwatch
from samlet.geometry.boxes import clip, xywh_to_xyxy
from samlet.geometry.rle import encode
from samlet.predictor import Predictor
from samlet.prompts import Prompts


def evaluate_detections(predictor: Predictor, sample: Sample, policy: Policy) -> ImageResult:
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
                detections += _segment(predictor, embedding, batch, policy)
    return ImageResult(sample.name, sample.source, (), watch.seconds, tuple(detections))


def _segment(
    predictor: Predictor, embedding: Embedding, detections: Sequence[Detection], policy: Policy
) -> list[DetectionResult]:
    size_hw = embedding.frame.size_hw
    boxes_xyxy = clip(xywh_to_xyxy([detection.box_xywh for detection in detections]), size_hw)
    inside = (boxes_xyxy[:, :2] < boxes_xyxy[:, 2:]).all(axis=1)
    masks = [np.zeros(size_hw, bool)] * len(detections)
    iou = np.zeros(len(detections))
    if inside.any():
        answer = ask(predictor, embedding, Prompts.boxes(boxes_xyxy[inside]), policy, [])
        iou[inside] = answer.iou
        for index, mask in zip(np.flatnonzero(inside), answer.masks, strict=True):
            masks[index] = mask
    return [
        DetectionResult(detection.category_id, detection.score, float(predicted), encode(mask)["counts"].decode())
        for detection, mask, predicted in zip(detections, masks, iou, strict=True)
    ]
