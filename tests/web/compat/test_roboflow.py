from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("fastapi")

from tests.web.compat.recorded import expected, recorded
from tests.web.test_api import refused

from samlet import Prompts
from samlet.geometry.rle import decode, from_json, from_polygons

BODIES = recorded("roboflow")
SEGMENT = BODIES["/sam2/segment_image"]


def test_prompts_get_a_mask_each_as_polygons(client, model):
    answer = client.post("/sam2/segment_image", json=SEGMENT).json()
    masks = expected(model, Prompts.points([[10, 20]]), Prompts.boxes([75, 80, 125, 120]))
    for prediction, mask in zip(answer["predictions"], masks, strict=True):
        assert (prediction["format"], prediction["confidence"]) == ("polygon", pytest.approx(mask.iou))
        flat = [np.ravel(ring).tolist() for ring in prediction["masks"]]
        filled = decode(from_polygons(flat, (400, 600)))
        assert (filled & mask.to_array()).sum() / (filled | mask.to_array()).sum() > 0.9
    assert answer["time"] >= 0


def test_or_as_run_lengths(client, model):
    answer = client.post("/sam3/visual_segment", json=BODIES["/sam3/visual_segment"]).json()
    (prediction,) = answer["predictions"]
    (mask,) = expected(model, Prompts.points([[10, 20]]))
    assert prediction["format"] == "rle"
    assert (decode(from_json(prediction["masks"])) == mask.to_array()).all()


def test_an_embedded_image_need_not_be_sent_again(client):
    own = client.post("/sam3/embed_image", json=BODIES["/sam3/embed_image"]).json()
    assert own["image_id"] == "a"
    named = client.post("/sam2/embed_image", json={"image": SEGMENT["image"]}).json()["image_id"]
    again = client.post("/sam2/segment_image", json=SEGMENT | {"image": None, "image_id": named})
    assert len(again.json()["predictions"]) == 2
    refused(client.post("/sam2/segment_image", json=SEGMENT | {"image": None, "image_id": "a"}), 404)


def test_words_are_refused(client):
    assert "takes no words" in refused(client.post("/sam3/concept_segment", json=BODIES["/sam3/concept_segment"]), 422)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": None}, "There is no image"),
        ({"image": {"type": "url", "value": "http://169.254.169.254/"}}, "type 'url' are not taken"),
        ({"image": {"type": "base64", "value": "é"}}, "not base64"),
        ({"prompts": None}, "There is no prompt"),
        ({"prompts": {"prompts": []}}, "There is no prompt"),
        ({"prompts": {"prompts": [{}]}}, "No prompt given"),
        ({"prompts": {"prompts": [{"points": [{"x": 1, "y": 1}]}] * 65}}, "65 prompts"),
        ({"prompts": {"prompts": [{"box": {"x": 10, "y": 10, "width": -5, "height": 5}}]}}, "box"),
        ({"format": "binary"}, "binary is not sent"),
    ],
)
def test_what_cannot_be_answered_is_refused(client, change, words):
    assert words in refused(client.post("/sam2/segment_image", json=SEGMENT | change), 422)


def test_the_token_may_be_the_api_key_of_the_body(open_client):
    with open_client(token="correct-horse-battery") as client:
        for path, body in BODIES.items():
            refused(client.post(path, json=body), 401)
            refused(client.post(path, json=body | {"api_key": None}), 401)
            assert client.post(path, json=body | {"api_key": "correct-horse-battery"}).status_code != 401
        assert client.post("/sam2/embed_image", json=SEGMENT, headers={"Token": "correct-horse-battery"}).is_success
