from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")

from tests.web.compat.recorded import expected, recorded
from tests.web.test_api import refused

from samlet import Prompts

BODY = recorded("osam")["/api/generate"]


def whole(annotation) -> np.ndarray:
    """The mask of an annotation in its place."""
    box, mask = annotation["bounding_box"], Image.open(io.BytesIO(base64.b64decode(annotation["mask"])))
    canvas = np.zeros((400, 600), bool)
    canvas[box["ymin"] : box["ymax"] + 1, box["xmin"] : box["xmax"] + 1] = np.asarray(mask) == 255
    return canvas


def test_a_recorded_request_gets_the_mask(client, model):
    answer = client.post("/api/generate", json=BODY).json()
    (annotation,) = answer["annotations"]
    (mask,) = expected(model, Prompts.points([[250, 225]]))
    assert (whole(annotation) == mask.to_array()).all()
    assert (answer["model"], annotation["score"]) == ("samlet", pytest.approx(mask.iou))


def test_labels_2_and_3_are_a_box(client, model):
    prompt = {"points": [[250, 225], [300, 300], [200, 150]], "point_labels": [0, 3, 2]}
    (annotation,) = client.post("/api/generate", json=BODY | {"prompt": prompt}).json()["annotations"]
    (mask,) = expected(model, Prompts.boxes([200, 150, 300, 300], [[250, 225]], [0]))
    assert (whole(annotation) == mask.to_array()).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "sam2:large"}, "There is no model 'sam2:large' here"),
        ({"image": None}, "There is no image"),
        ({"image": "@@@"}, "not base64"),
        ({"image": ""}, "empty"),
        ({"prompt": None}, "There is no prompt"),
        ({"prompt": {"texts": ["cat"]}}, "takes no texts"),
        ({"prompt": {"points": [], "point_labels": []}}, "0 points"),
        ({"prompt": {"points": [[1, 1]], "point_labels": [1, 1]}}, "1 points and 2"),
        ({"prompt": {"points": [[1, 1]], "point_labels": [-1]}}, "point_labels[0]"),
        ({"prompt": {"points": [[1, 1]], "point_labels": [2]}}, "A box is one point"),
        ({"prompt": {"points": [[601, 1]], "point_labels": [1]}}, "outside"),
    ],
)
def test_what_cannot_be_answered_is_refused(client, change, words):
    assert words in refused(client.post("/api/generate", json=BODY | change), 422)
