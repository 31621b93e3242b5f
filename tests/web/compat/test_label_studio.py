from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("fastapi")

from tests.web.compat.recorded import PHOTO, expected, recorded
from tests.web.compat.test_brush import decoded
from tests.web.test_api import refused

from samlet import Prompts

BODIES = recorded("label_studio")
PREDICT = BODIES["/predict"]
CONFIG = PREDICT["label_config"]


class LabelStudio(BaseHTTPRequestHandler):
    """Gives a photo to who has the key; `/moved` leads elsewhere, `/large` is too large."""

    asked: list[tuple[str, str | None]]

    def do_GET(self):
        self.asked.append((self.path, self.headers.get("Authorization")))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/data/local-files/?d=coffee.jpg")
            self.end_headers()
        elif self.headers.get("Authorization") != "Token TOKEN":
            self.send_error(401)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PHOTO if self.path != "/large" else bytes(20_000))

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def label_studio():
    LabelStudio.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), LabelStudio)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def connected(open_client, label_studio):
    LabelStudio.asked.clear()
    with open_client(label_studio=label_studio, body_bytes=10_000) as client:
        assert client.post("/setup", json=BODIES["/setup"]).json()["model_version"].startswith("samlet-")
        yield client


def with_task(address: str) -> dict:
    return PREDICT | {"tasks": [{"data": {"image": address}}]}


def test_a_click_gets_a_brush(connected, model):
    answer = connected.post("/predict", json=PREDICT).json()
    ((result,),) = [prediction["result"] for prediction in answer["results"]]
    (mask,) = expected(model, Prompts.points([[41.6 * 6, 56.2 * 4]]))
    assert (result["type"], result["from_name"], result["to_name"]) == ("brushlabels", "brush", "image")
    assert result["value"]["brushlabels"] == ["Cup"]
    assert (result["original_width"], result["original_height"]) == (600, 400)
    assert (decoded(result["value"]["rle"], (400, 600))[..., 3] == mask.to_array() * 255).all()
    assert answer["results"][0]["score"] == pytest.approx(mask.iou)
    assert LabelStudio.asked == [("/data/local-files/?d=coffee.jpg", "Token TOKEN")]


def test_a_box_and_a_click_not_on_it(connected, model):
    regions = [
        {"type": "rectanglelabels", "value": {"x": 25, "y": 25, "width": 50, "height": 50, "rectanglelabels": ["Cup"]}},
        {"type": "keypointlabels", "value": {"x": 30, "y": 30}, "is_positive": False},
    ]
    body = PREDICT | {"params": {"context": {"result": regions}}}
    result = connected.post("/predict", json=body).json()["results"][0]["result"][0]
    (mask,) = expected(model, Prompts.boxes([150, 100, 450, 300], [[180, 120]], [0]))
    assert (decoded(result["value"]["rle"], (400, 600))[..., 0] == mask.to_array() * 255).all()


def test_polygons_where_the_labels_are_polygons(connected):
    body = PREDICT | {"label_config": CONFIG.replace("BrushLabels", "PolygonLabels")}
    result = connected.post("/predict", json=body).json()["results"][0]["result"][0]
    assert result["type"] == "polygonlabels"
    assert all(0 <= number <= 100 for point in result["value"]["points"] for number in point)


def test_tasks_without_a_click_get_no_prediction(connected):
    answer = connected.post("/predict", json=PREDICT | {"params": {"context": None}}).json()
    assert [prediction["result"] for prediction in answer["results"]] == [[]]
    assert connected.post("/predict", json=PREDICT | {"tasks": []}).json()["results"] == []
    assert LabelStudio.asked == []


def test_events_are_heard(connected):
    assert connected.post("/webhook", json=BODIES["/webhook"]).json() == {}


@pytest.mark.parametrize(
    "address",
    ["http://169.254.169.254/latest", "//evil.example/x", "file:///etc/passwd", "https://127.0.0.1/x", "ftp://127.0.0.1/",
     "http://127.0.0.1:1/", "http://127.0.0.1@evil.example/", "http://[::1"],
)  # fmt: skip
def test_nothing_is_fetched_from_elsewhere(connected, address):
    refused(connected.post("/predict", json=with_task(address)), 422)
    assert [path for path, _ in LabelStudio.asked if "evil" not in path] == []


@pytest.mark.parametrize(
    ("address", "words"), [("/moved", "answered 302"), ("/large", "larger than"), ("/a\r\nHost: x", "")]
)
def test_what_label_studio_cannot_give(connected, address, words):
    assert words in refused(connected.post("/predict", json=with_task(address)), 422)


def test_without_an_address_nothing_is_fetched(client):
    client.post("/setup", json=BODIES["/setup"])
    assert "--label-studio" in refused(client.post("/predict", json=PREDICT), 422)


@pytest.mark.parametrize(
    "config",
    ["", "<View>", "<View/>", "<!DOCTYPE x [<!ENTITY a 'b'>]><View/>", "<View><BrushLabels/></View>", "<a>" * 10_000],
)
def test_a_config_that_cannot_be_drawn_for(client, config):
    refused(client.post("/predict", json=PREDICT | {"label_config": config}), 422)
