from __future__ import annotations

import json

import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient
from tests.web.test_api import refused

from samlet.web import intake
from samlet.web.app import create_app
from samlet.web.intake import MOST_VALUES
from samlet.web.project import Project

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"embedding": "a", "points": [[1, 1]] * MOST_VALUES}),
        json.dumps({f"key{number}": 1 for number in range(MOST_VALUES + 1)}),
        "[" * (MOST_VALUES + 1),
        '{"a":' * (MOST_VALUES + 1),
    ],
)
@pytest.mark.parametrize("path", ["/api/segment", "/sam2/segment_image", "/nothing"])
def test_json_of_too_many_values_is_refused_before_it_is_parsed(client, body, path):
    if path == "/nothing":  # which nobody reads
        refused(client.post(path, content=body, headers=JSON), 404)
        return
    assert "20,000 values" in refused(client.post(path, content=body, headers=JSON), 413)


def test_an_imported_file_has_bounds_too(model, tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "MOST_VALUES_OF_PROJECT", 10)
    app = create_app(model, project=Project(tmp_path))
    headers = {"X-Samlet": "1", "Content-Type": "application/octet-stream"}
    with TestClient(app, base_url="http://localhost", headers=headers) as client:
        assert "more than 10 values" in refused(client.post("/api/import?name=a.json", content="[1" + ",1" * 20), 413)


def test_a_body_may_be_no_larger_than_allowed(open_client):
    with open_client(body_bytes=1000) as client:
        assert "larger than 0.001 MB" in refused(client.post("/api/embed", content=bytes(1001)), 413)
        assert refused(client.post("/api/embed", content=iter([bytes(600)] * 2)), 413)
        refused(client.post("/api/embed", content=bytes(1000)), 422)


def test_bodies_of_all_requests_have_a_bound_too(open_client):
    with open_client(bodies_bytes=1000) as client:
        answer = client.post("/api/embed", content=bytes(1001))
        assert "too much at once" in refused(answer, 429)
        assert answer.headers["retry-after"] == "1"
        refused(client.post("/api/embed", content=bytes(999)), 422)


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "", "9" * 30])
def test_a_length_that_is_none_is_refused(client, length):
    answer = client.post("/api/embed", content=b"x", headers={"Content-Length": length})
    assert answer.status_code in (400, 413)
