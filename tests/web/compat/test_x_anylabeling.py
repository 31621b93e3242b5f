from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("fastapi")

from tests.web.compat.recorded import expected, recorded
from tests.web.test_api import refused

from samlet import Prompts
from samlet.geometry.rle import decode, from_polygons

BODY = recorded("x_anylabeling")["/v1/predict"]


def test_the_model_says_which_tools_it_takes(client):
    (model,) = client.get("/v1/models").json()["data"].values()
    assert model["display_name"] == "samlet (efficientvit-sam-b0)"
    assert {"name": "button_add_point", "value": None} in model["widgets"]


def test_recorded_marks_get_outlines(client, model):
    data = client.post("/v1/predict", json=BODY).json()["data"]
    (mask,) = expected(model, Prompts.boxes([70, 10, 485, 390], [[250, 225]]))
    assert not data["replace"]
    for shape in data["shapes"]:
        assert (shape["label"], shape["shape_type"]) == ("AUTOLABEL_OBJECT", "polygon")
        assert shape["points"][0] == shape["points"][-1]
    # A stand-in's answer to the box, and the part that the click adds to it.
    filled = decode(from_polygons([np.ravel(shape["points"]).tolist() for shape in data["shapes"]], (400, 600)))
    assert len(data["shapes"]) == 2
    assert (filled & mask.to_array()).sum() / (filled | mask.to_array()).sum() > 0.9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "yolo"}, "no model 'yolo'"),
        ({"image": "data:image/png,abc"}, "data address"),
        ({"params": {}}, "no prompt"),
        ({"params": {"text_prompt": "cat"}}, "takes no texts"),
        ({"params": {"marks": [{"type": "point", "data": [1, 1, 1]}]}}, "3 numbers"),
        ({"params": {"marks": [{"type": "rectangle", "data": [1, 1]}]}}, "2 numbers"),
        ({"params": {"marks": [{"type": "point", "data": [1]}]}}, "marks[0].data"),
        ({"params": {"marks": [{"type": "point", "data": [900, 1]}]}}, "outside"),
        ({"params": None}, "params"),
    ],
)
def test_what_cannot_be_answered_is_refused(client, change, words):
    assert words in refused(client.post("/v1/predict", json=BODY | change), 422)
