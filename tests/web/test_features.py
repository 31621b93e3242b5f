from __future__ import annotations

import json
import struct

import numpy as np
import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient
from tests.web.test_api import refused

from samlet.models.registry import DEFAULT_MODEL, shipped_folder
from samlet.predictor import Predictor
from samlet.runtime.artifact import GRAPHS
from samlet.runtime.composed import ComposedBackend
from samlet.runtime.onnx import OnnxBackend
from samlet.web.app import create_app
from samlet.web.features import to_safetensors


def read(file: bytes) -> dict[str, np.ndarray]:
    """A safetensors file, by its published layout."""
    (length,) = struct.unpack("<Q", file[:8])
    header = json.loads(file[8 : 8 + length])
    kinds = {"F32": "<f4", "F16": "<f2", "I64": "<i8"}
    return {
        name: np.frombuffer(file[8 + length :][slice(*entry["data_offsets"])], kinds[entry["dtype"]]).reshape(
            entry["shape"]
        )
        for name, entry in header.items()
    }


def test_features_are_those_of_the_embedding(client, embedding):
    answer = client.post("/api/features", json={"embedding": embedding})
    kept = client.app.state.service.kept(embedding).embedding
    found = read(answer.content)
    assert found.keys() == kept.features.keys()
    for name, array in kept.features.items():
        assert found[name].dtype == array.dtype
        assert (found[name] == array).all()


def test_features_of_an_image_that_is_not_kept(client):
    assert "embed it again" in refused(client.post("/api/features", json={"embedding": "0" * 32}), 404)


def test_a_body_that_is_none_is_refused(client):
    refused(client.post("/api/features", json={"embedding": "../../etc/passwd"}), 422)


@pytest.mark.parametrize("kind", ["<f4", "<f2", "<i8"])
def test_any_shape_and_kind_survives(kind):
    arrays = {"one": np.arange(6).reshape(1, 2, 3).astype(kind), "none": np.zeros((0, 4), kind)}
    file = to_safetensors(arrays)
    assert struct.unpack("<Q", file[:8])[0] % 8 == 0
    for name, array in read(file).items():
        assert array.shape == arrays[name].shape
        assert (array == arrays[name]).all()


def test_a_model_without_graphs_has_no_files(client):
    refused(client.get("/model/manifest.json"), 404)


@pytest.mark.parametrize("composed", [False, True])
def test_the_graphs_of_the_model_are_served_and_nothing_else(composed):
    folder = shipped_folder(DEFAULT_MODEL)
    backend = OnnxBackend.from_folder(folder)
    model = Predictor(ComposedBackend(backend, backend) if composed else backend)
    with TestClient(create_app(model), base_url="http://localhost") as client:
        for name in ("manifest.json", *GRAPHS):
            assert client.get(f"/model/{name}").content == (folder / name).read_bytes()
        for name in ("parity.json", "..%2Fregistry.py", "encoder.onnx%00", "ENCODER.ONNX"):
            refused(client.get(f"/model/{name}"), 404)
