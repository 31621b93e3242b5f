"""The real clients of other tools, against a live server on the loopback; each where its package is installed."""

from __future__ import annotations

import base64
import io
import json
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")

from tests.web.live import PHOTO, live_server

import samlet

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with live_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    """The mask of the click that all clients send."""
    return samlet.load().segment(PHOTO, points=[[250, 225]])[0].to_array()


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return (first & second).sum() / (first | second).sum()


def post(url: str, body: dict) -> dict:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def test_osam_types(server, mask):
    types = pytest.importorskip("osam.types", reason="osam is not installed")
    prompt = types.Prompt(points=np.array([[250.0, 225.0]]), point_labels=np.array([1]))
    image = base64.b64encode(PHOTO.read_bytes()).decode()
    sent = {"model": "samlet", "image": image, "prompt": prompt.model_dump()}
    answer = post(f"{server.url}/api/generate", sent)
    for annotation in answer["annotations"]:
        picture = Image.open(io.BytesIO(base64.b64decode(annotation["mask"])))
        annotation["mask"] = np.asarray(picture) > 0
    (found,) = types.GenerateResponse(**answer).annotations
    box, whole = found.bounding_box, np.zeros_like(mask)
    whole[box.ymin : box.ymax + 1, box.xmin : box.xmax + 1] = found.mask
    assert iou(whole, mask) > 0.999


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_roboflow_sdk(server, mask):
    sdk = pytest.importorskip("inference_sdk", reason="inference-sdk is not installed")
    client = sdk.InferenceHTTPClient(api_url=server.url, api_key="none")
    prompts = [{"points": [{"x": 250, "y": 225, "positive": True}]}]
    for ask in (client.sam2_segment_image, client.sam3_visual_segment):
        (prediction,) = ask(str(PHOTO), prompts=prompts, mask_input_format="rle")["predictions"]
        found = samlet.MaskSet.from_json(
            {"image": {"height": 400, "width": 600}, "annotations": [{"segmentation": prediction["masks"]}]}
        )
        assert iou(found[0].to_array(), mask) > 0.999
    assert client.sam3_embed_image(str(PHOTO), image_id="a")["image_id"] == "a"
    with pytest.raises(sdk.http.errors.HTTPCallErrorError):
        client.sam3_concept_segment(str(PHOTO), prompts=[{"type": "text", "text": "cat"}])


def test_label_studio_sdk_reads_the_brush(server, mask):
    brush = pytest.importorskip("label_studio_sdk.converter.brush", reason="label-studio-sdk is not installed")
    config = '<View><Image name="i" value="$image"/><BrushLabels name="b" toName="i"/></View>'
    image = "data:image/jpeg;base64," + base64.b64encode(PHOTO.read_bytes()).decode()
    click = {"type": "keypointlabels", "value": {"x": 250 / 6, "y": 225 / 4, "keypointlabels": ["Cup"]}}
    asked = {"tasks": [{"data": {"image": image}}], "label_config": config, "params": {"context": {"result": [click]}}}
    (result,) = post(f"{server.url}/predict", asked)["results"][0]["result"]
    channels = brush.decode_rle(result["value"]["rle"]).reshape(400, 600, 4)
    assert iou(channels[..., 3] > 0, mask) > 0.999
