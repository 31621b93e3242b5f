from __future__ import annotations

import numpy as np
import pytest
from tests.fake_backend import FakeBackend

from samlet import Prompts
from samlet.predictor import Predictor

pytest.importorskip("fiftyone.core.labels", reason="fiftyone (1 GB) is not installed")

import fiftyone.core.labels as fiftyone

from samlet.integrations.fiftyone import SamletModel

PHOTO = np.full((200, 320, 3), 90, np.uint8)


@pytest.fixture
def model():
    return Predictor(FakeBackend())


@pytest.fixture
def samlet_model(model):
    return SamletModel(model, points_per_side=2)


def whole(detection) -> np.ndarray:
    left, top, width, height = np.round(np.array(detection.bounding_box) * (320, 200, 320, 200)).astype(int)
    canvas = np.zeros((200, 320), bool)
    canvas[top : top + height, left : left + width] = detection.mask
    return canvas


def test_boxes_get_a_mask_each(samlet_model, model):
    box = fiftyone.Detection(label="cat", bounding_box=[0.25, 0.25, 0.25, 0.25])
    samlet_model.needs_fields = {"prompt_field": "truth"}
    sample = {"truth": fiftyone.Detections(detections=[box])}
    (detection,) = samlet_model.predict(PHOTO, sample).detections
    (mask,) = model.segment(PHOTO, Prompts.boxes([80, 50, 160, 100]))
    assert (whole(detection) == mask.to_array()).all()
    assert (detection.label, detection.confidence) == ("cat", pytest.approx(mask.iou))


def test_clicks_get_a_mask_and_missing_ones_do_not(samlet_model, model):
    points = [(100 / 320, 60 / 200), (float("nan"), float("nan"))]
    keypoints = [fiftyone.Keypoint(label="dog", points=points), fiftyone.Keypoint(points=[])]
    samlet_model.needs_fields = {"prompt_field": "clicks"}
    sample = {"clicks": fiftyone.Keypoints(keypoints=keypoints)}
    (detection,) = samlet_model.predict_all([PHOTO], [sample])[0].detections
    assert (whole(detection) == model.segment(PHOTO, points=[[100, 60]])[0].to_array()).all()


def test_without_a_prompt_field_everything_is_found(samlet_model):
    assert all(detection.label == "object" for detection in samlet_model.predict(PHOTO).detections)


@pytest.mark.parametrize("labels", [None, fiftyone.Detections(detections=[]), fiftyone.Keypoints(keypoints=[])])
def test_a_sample_that_asks_nothing_gets_nothing(samlet_model, labels):
    samlet_model.needs_fields = {"prompt_field": "truth"}
    assert samlet_model.predict(PHOTO, {"truth": labels}).detections == []


def test_it_is_a_model_of_fiftyone(samlet_model):
    from fiftyone.core.models import Model, SamplesMixin

    assert isinstance(samlet_model, (Model, SamplesMixin))
    assert (samlet_model.media_type, samlet_model.transforms, samlet_model.preprocess) == ("image", None, False)
    with samlet_model as entered:
        assert entered is samlet_model
