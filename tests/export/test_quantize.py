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


def matmul(left, right, result):
    return helper.make_node("MatMul", [left, right], [result], name=result)


def in_float32(*nodes):
    constants = [
        helper.make_tensor(name, onnx.TensorProto.FLOAT, [2, 2], np.eye(2).ravel()) for name in ("weights", "more")
    ]
    return sorted(quantize._in_float32(helper.make_graph(nodes, "some", [], [], constants)))


def test_products_of_two_activations_are_told_from_layers():
    assert in_float32(matmul("x", "weights", "q"), matmul("q", "q", "y")) == ["y"]


def test_a_layer_that_reads_what_attention_reads_stays_as_it_is():
    qkv = matmul("x", "weights", "qkv")
    q = helper.make_node("Relu", ["qkv"], ["q"], name="relu")
    aside, after = matmul("qkv", "more", "aside"), matmul("y", "more", "after")
    assert in_float32(qkv, q, aside, matmul("q", "q", "y"), after) == ["aside", "y"]


def test_both_products_of_a_resize_are_told_from_layers():
    rows, columns, layer = matmul("weights", "x", "rows"), matmul("rows", "more", "columns"), matmul("x", "more", "l")
    assert in_float32(rows, columns, layer) == ["columns", "rows"]


def test_no_more_photos_are_read_than_are_of_use_and_they_are_told(encoder, monkeypatch, capsys):
    monkeypatch.setattr(quantize, "CALIBRATION_PHOTOS", 2)
    told = []
    photos = [PHOTOS[0], PHOTOS[0].with_name("never read.jpg"), PHOTOS[1], PHOTOS[1].with_name("nor this.jpg")]
    quantize.quantize_encoder(encoder, tiny_model().spec.image, photos, told.append)
    assert told == ["calibrating on photo 1 of 2", "calibrating on photo 2 of 2"]
    assert capsys.readouterr().out == ""
