from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from tests.fake_backend import FakeBackend

from samlet import Prompts
from samlet.errors import MissingExtraError
from samlet.integrations.cvat import Interaction
from samlet.predictor import Predictor

PHOTO = np.full((200, 320, 3), 90, np.uint8)


@dataclass
class Given:
    """What an annotator gave, as the agent hands it on."""

    pos_points: tuple = ()
    neg_points: tuple = ()
    bounding_box: tuple | None = None


@pytest.fixture
def model():
    return Predictor(FakeBackend())


def test_without_the_sdk_the_install_is_named(model, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cvat_sdk", None)
    monkeypatch.setitem(__import__("sys").modules, "cvat_sdk.auto_annotation", None)
    with pytest.raises(MissingExtraError, match=r'pip install "samlet\[cvat\]"'):
        Interaction(model)


@pytest.fixture
def detect(model):
    """Masks [N, H, W] as the real SDK's shapes say them."""
    pytest.importorskip("cvat_sdk", reason="cvat-sdk (64 MB) is not installed")
    from cvat_sdk.masks import decode_mask

    function = Interaction(model)
    prepared = function.preprocess_image(None, Image.fromarray(PHOTO))

    def run(given: Given) -> list[np.ndarray]:
        shapes = function.detect(None, prepared, given)
        assert all(shape.type == "mask" for shape in shapes)
        return [decode_mask(shape.points, image_width=320, image_height=200) for shape in shapes]

    return run


@pytest.mark.parametrize(
    ("given", "prompts"),
    [
        (Given([(100, 60)]), Prompts.points([[100, 60]])),
        (Given([(100, 60)], [(30, 30)]), Prompts.points([[100, 60], [30, 30]], [1, 0])),
        (Given(bounding_box=((50, 40), (150, 100))), Prompts.boxes([50, 40, 150, 100])),
        (Given([(320, 200)], bounding_box=((-1, -1), (321, 201))), Prompts.boxes([0, 0, 320, 200], [[319, 199]])),
    ],
)
def test_prompts_get_the_mask_of_segment(detect, model, given, prompts):
    (mask,) = detect(given)
    assert (mask == model.segment(PHOTO, prompts)[0].to_array()).all()


@pytest.mark.parametrize("given", [Given(), Given(neg_points=((10, 10),))])
def test_nothing_asked_is_nothing_found(detect, given):
    assert detect(given) == []


def test_the_spec_takes_clicks_and_a_box(model):
    pytest.importorskip("cvat_sdk", reason="cvat-sdk (64 MB) is not installed")
    spec = Interaction(model).spec
    assert (spec.min_pos_points, spec.min_neg_points, spec.min_bounding_boxes) == (0, 0, 0)
