from __future__ import annotations

import json
from threading import Event

import numpy as np
import pytest
from tests.fake_backend import IOU

pytest.importorskip("fastapi")

from tests.web.conftest import photo_file

import samlet
from samlet.everything import MaskGenerator
from samlet.geometry.rle import decode, from_json


def mask_of(answer) -> np.ndarray:
    return decode(from_json(answer["rle"]))


def refused(answer, status: int) -> str:
    """The one sentence of a refusal."""
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].endswith((".", "!"))
    return answer.json()["error"]


def test_info_says_what_answers(client):
    info = client.get("/api/info").json()
    assert (info["version"], info["model"], info["page"]) == (samlet.__version__, "efficientvit-sam-b0", False)
    assert "mobile-sam" in info["models"]
    assert info["limits"] == {"body_bytes": 64 << 20, "pixels": 50_000_000}


def test_embed_is_the_same_for_the_same_file(client):
    first, again, other = (client.post("/api/embed", content=photo_file(shade=shade)) for shade in (1, 1, 2))
    assert first.json() == again.json() | {"size": [200, 320]}
    assert other.json()["embedding"] != first.json()["embedding"]


def test_predict_is_what_the_model_predicts(client, model, embedding):
    ask = {"embedding": embedding, "points": [[100, 60], [30, 30]], "labels": [1, 0]}
    (answer,) = client.post("/api/predict", json=ask).json()["masks"]
    photo = model.embed(photo_file())
    (expected,) = model.predict(photo, samlet.Prompts.points([[100, 60], [30, 30]], [1, 0]))
    assert (mask_of(answer) == expected.to_array()).all()
    assert (answer["area"], tuple(answer["box"])) == (expected.area_px, expected.box_xywh)


def test_candidates_come_best_first(client, embedding):
    ask = {"embedding": embedding, "points": [[100, 60]], "multimask": True}
    ious = [mask["iou"] for mask in client.post("/api/predict", json=ask).json()["masks"]]
    assert ious == pytest.approx(sorted(IOU[1:], reverse=True))


def test_segment_gives_the_mask_for_people_first(client, model, embedding):
    first, *candidates = client.post("/api/segment", json={"embedding": embedding, "box": [80, 50, 160, 100]}).json()[
        "masks"
    ]
    expected = model.segment(photo_file(), boxes=[80, 50, 160, 100])[0]
    assert (mask_of(first) == expected.to_array()).all()
    assert len(candidates) == 3


def test_a_hint_is_the_logits_of_the_mask_with_that_id(client, model, embedding):
    ask = {"embedding": embedding, "points": [[100, 60]]}
    answer = client.post("/api/predict", json=ask).json()["masks"][0]
    client.post("/api/predict", json=ask | {"hint": answer["id"]})
    _, _, hint = model.backend.decoded[-1]
    logits = model.predict(model.embed(photo_file()), samlet.Prompts.points([[100, 60]])).low_res_logits
    assert (hint == logits).all()


@pytest.mark.parametrize("path", ["/api/predict", "/api/segment"])
def test_a_hint_outlives_its_logits(open_client, model, path):
    with open_client(hints_bytes=1) as client:  # which holds those of the newest mask only
        name = client.post("/api/embed", content=photo_file()).json()["embedding"]
        asks = [{"embedding": name, "points": [[100, 60]]}]
        for x in (120, 140):
            answer = client.post(path, json=asks[-1]).json()["masks"][0]
            client.post("/api/predict", json={"embedding": name, "points": [[5, 5]]})
            asks.append({"embedding": name, "points": [[x, 60]], "hint": answer["id"]})
        client.post("/api/predict", json=asks[-1])
    _, _, hint = model.backend.decoded[-1]
    first = model.predict(model.embed(photo_file()), samlet.Prompts.points([[100, 60]])).low_res_logits
    second = samlet.Prompts.points([[120, 60]]).with_mask_hint(first)
    again = model.segment(photo_file(), second, refine="none", clean=False) if path == "/api/segment" else None
    expected = again or model.predict(model.embed(photo_file()), second)
    assert (hint == expected.low_res_logits[:1]).all()


def test_a_full_queue_says_when_to_come_back(open_client):
    with open_client(waiting=0) as client:
        go = Event()
        client.app.state.service.lanes[0].submit(lambda: go.wait(10))
        answer = client.post("/api/embed", content=photo_file())
        assert "busy" in refused(answer, 429)
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        go.set()


def test_what_takes_too_long_is_given_up(open_client):
    with open_client(answer_seconds=0.05) as client:
        go = Event()
        client.app.state.service.lanes[0].submit(lambda: go.wait(10))
        assert "longer than 0.05 s" in refused(client.post("/api/embed", content=photo_file()), 503)
        go.set()


def test_a_hint_of_another_image_is_not_known(client, embedding):
    other = client.post("/api/embed", content=photo_file(shade=3)).json()["embedding"]
    name = client.post("/api/predict", json={"embedding": other, "points": [[1, 1]]}).json()["masks"][0]["id"]
    answer = client.post("/api/predict", json={"embedding": embedding, "points": [[1, 1]], "hint": name})
    assert "ask without the hint" in refused(answer, 404)


def test_everything_tells_how_far_it_is(client, embedding):
    answer = client.post(
        "/api/everything", json={"embedding": embedding, "points_per_side": 4, "stability_score_thresh": 0}
    )
    assert answer.headers["content-type"] == "application/x-ndjson"
    *progress, last = [json.loads(line) for line in answer.text.splitlines()]
    assert progress[-1] == {"done": 16, "total": 16}
    assert last["masks"]


def test_everything_is_searched_for_as_samlet_everything_does(client, embedding, monkeypatch):
    seen = []
    generate = MaskGenerator.generate
    monkeypatch.setattr(MaskGenerator, "generate", lambda self, *given: seen.append(self) or generate(self, *given))
    for asked in ({}, {"fast": False}):
        client.post("/api/everything", json={"embedding": embedding, "points_per_side": 2, **asked})
    assert [(generator.fast, generator.edges, generator.clean) for generator in seen] == [
        (True, True, True),
        (False, True, True),
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"points": []}, "No prompt given"),
        ({"points": [[320, 10]]}, "lies outside the image"),
        ({"points": [[1]]}, "points[0][1]"),
        ({"points": [[1, 2]], "labels": [1, 0]}, "1 points but 2 labels"),
        ({"points": [[1, 2]], "labels": [2]}, "labels[0]"),
        ({"points": [[1, 2]] * 65}, "points"),
        ({"points": "all"}, "points"),
        ({"box": [50, 50, 20, 20]}, "box"),
        ({"box": [1, 2, 3]}, "box"),
        ({"points": [[1, 2]], "hint": "../../etc/passwd"}, "hint"),
        ({"points": [[1, 2]], "colour": "red"}, "colour"),
        ({"embedding": None}, "embedding"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(client, embedding, change, words):
    assert words in refused(client.post("/api/predict", json={"embedding": embedding} | change), 422)


@pytest.mark.parametrize(
    "body",
    ["", "{", "nonsense", "[]", "null", '{"points": [[NaN, 1]]}', '{"points": [[1e999, 1]]}', "[" * 10_000,
     '{"points": [[' + "9" * 5000 + ", 1]]}", '{"embedding": "\\ud800"}', b"\xff\xfe\x00"],
)  # fmt: skip
def test_what_is_no_json_of_ours_is_refused_in_a_sentence(client, body):
    answer = client.post("/api/segment", content=body, headers={"Content-Type": "application/json"})
    assert len(refused(answer, answer.status_code)) < 400
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("content", [b"", b"no image", photo_file()[:60], b"GIF89a" + bytes(20)])
def test_what_is_no_image_is_refused(client, content):
    refused(client.post("/api/embed", content=content), 422)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(open_client):
    with open_client(pixels=1000) as client:
        assert "320 x 200" in refused(client.post("/api/embed", content=photo_file()), 422)


@pytest.mark.parametrize("path", ["/api/predict", "/api/segment", "/api/everything"])
def test_what_is_not_kept_is_not_found(client, path):
    prompt = {} if path == "/api/everything" else {"points": [[1, 1]]}
    assert "embed it again" in refused(client.post(path, json={"embedding": "none"} | prompt), 404)


def test_what_is_not_there_is_said_to_be(client):
    assert refused(client.get("/api/nothing"), 404)
    assert refused(client.put("/api/info"), 405)
