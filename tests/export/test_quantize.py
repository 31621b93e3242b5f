"""The encoder in int8: integers where they pay, float32 where they would harm, the same inputs and outputs."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from tests.tiny import CANVAS, tiny_artifact, tiny_model

from samlet.errors import ImageError
from samlet.export.parity import PHOTOS
from samlet.images import read_image
from samlet.preprocess import to_pixels
from samlet.runtime.artifact import ENCODER

quantize = pytest.importorskip("samlet.export.quantize")


@pytest.fixture
def encoder(tmp_path):
    return shutil.copy(tiny_artifact() / ENCODER, tmp_path / ENCODER)


def embedding(path):
    pixels, _ = to_pixels(read_image(PHOTOS[0]), tiny_model().spec.image)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["image_embeddings"], {"pixels": pixels[None]})[0]


def test_convolutions_become_integers_and_the_embedding_stays_near(encoder):
    before = embedding(encoder)
    quantize.quantize_encoder(encoder, tiny_model().spec.image, PHOTOS)
    graph = onnx.load(encoder).graph
    assert "QuantizeLinear" in {node.op_type for node in graph.node}
    assert any(tensor.data_type == onnx.TensorProto.INT8 and np.prod(tensor.dims) > 100 for tensor in graph.initializer)
    assert [axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim][1:] == [3, CANVAS, CANVAS]
    error = embedding(encoder) - before
    assert 0 < error.std() < 0.1 * before.std()


def test_a_photo_that_cannot_be_read_is_named(encoder, tmp_path):
    with pytest.raises(ImageError, match=r"missing\.jpg"):
        quantize.quantize_encoder(encoder, tiny_model().spec.image, [tmp_path / "missing.jpg"])


def test_products_of_two_activations_are_told_from_layers():
    nodes = [
        helper.make_node("MatMul", ["x", "weights"], ["q"], name="layer"),
        helper.make_node("MatMul", ["q", "x"], ["y"], name="attention"),
    ]
    weights = helper.make_tensor("weights", onnx.TensorProto.FLOAT, [2, 2], np.eye(2).ravel())
    model = helper.make_model(helper.make_graph(nodes, "both", [], [], [weights]))
    assert quantize._products_of_activations(model) == ["attention"]
