"""A detector's boxes become masks, in its order and with its scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.fake import SIDE, RectangleBackend, predictor, rectangle, sample

from samlet.data import Detection
from samlet.errors import InputError
from samlet.evaluation.protocols import box_from_detector
from samlet.evaluation.protocols.box_from_detector import BoxFromDetector
from samlet.evaluation.protocols.registry import make_protocol
from samlet.evaluation.results import DetectionResult, ImageResult
from samlet.evaluation.run import evaluate_image
from samlet.evaluation.selection import hash_of
from samlet.geometry.rle import decode
from samlet.predictor import Predictor

FOUND = (Detection(3, (20.0, 30.0, 40.0, 60.0), 0.25), Detection(9, (100.0, 100.0, 80.0, 100.0), 0.75))
FROM_DETECTOR = BoxFromDetector()


def measured(
    *detections: Detection, model: Predictor | None = None, protocol: BoxFromDetector = FROM_DETECTOR
) -> ImageResult:
    return evaluate_image(model or predictor(), replace(sample(), detections=detections), protocol)


def mask_of(result: DetectionResult) -> np.ndarray:
    return decode({"size": [SIDE, SIDE], "counts": result.counts.encode()})


def test_each_box_becomes_a_mask_that_keeps_its_score() -> None:
    first, second = measured(*FOUND).detections
    assert (first.category_id, first.score, second.category_id, second.score) == (3, 0.25, 9, 0.75)
    assert first.iou == pytest.approx(0.9)
    np.testing.assert_array_equal(mask_of(first), rectangle(20, 30, 60, 90))
    np.testing.assert_array_equal(mask_of(second), rectangle(100, 100, 180, 200))


def test_the_choice_of_mask_is_kept() -> None:
    [left_half] = measured(FOUND[0], protocol=BoxFromDetector(select="single")).detections
    np.testing.assert_array_equal(mask_of(left_half), rectangle(20, 30, 40, 90))


def test_a_box_is_cut_at_the_border_and_one_outside_is_an_empty_mask() -> None:
    hanging = Detection(3, (-20.0, 200.0, 60.0, 99.0), 0.5)
    outside = Detection(3, (300.0, 10.0, 20.0, 20.0), 0.4)
    thin = Detection(3, (10.0, 10.0, 0.0, 20.0), 0.3)
    masks = [mask_of(found) for found in measured(outside, hanging, thin).detections]
    assert [mask.any() for mask in masks] == [False, True, False]
    np.testing.assert_array_equal(masks[1], rectangle(0, 200, 40, 256))
    assert not mask_of(measured(outside).detections[0]).any()


def test_batches_do_not_change_the_masks(monkeypatch) -> None:
    many = [Detection(1, (float(i), 10.0, 30.0, 20.0), i / 10) for i in range(7)]
    whole = measured(*many).detections
    monkeypatch.setattr(box_from_detector, "PROMPTS_PER_BATCH", 3)
    assert measured(*many).detections == whole


def test_an_image_without_detection_is_not_embedded() -> None:
    model = Predictor(RectangleBackend())
    result = measured(model=model)
    assert (result.detections, result.instances, model.backend.encoded) == ((), (), 0)


def test_a_result_returns_from_the_log() -> None:
    result = measured(*FOUND)
    assert ImageResult.from_json(result.to_json()) == result


def test_other_detections_are_another_measurement() -> None:
    first = replace(sample(), detections=FOUND)
    assert len({hash_of([first]), hash_of([sample()]), hash_of([replace(sample(), detections=FOUND[:1])])}) == 3


@pytest.mark.parametrize("options", [{"clicks": 1}, {"select": "oracle"}, {"feed_mask_back": True}])
def test_options_that_need_a_truth_are_refused(options) -> None:
    with pytest.raises(InputError, match=r"box_from_detector (knows no truth|has no)"):
        make_protocol("box_from_detector", **options)
