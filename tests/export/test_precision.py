"""float16 storage: half the bytes, float32 arithmetic."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from samlet.export.precision import SMALLEST_STORED_AS_FLOAT16, store_weights_as_float16

SIDE = 40  # 1600 weights


def write(path, weights, bias):
    """y = x @ weights + bias."""
    constants = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")]
    nodes = [helper.make_node("MatMul", ["x", "weights"], ["z"]), helper.make_node("Add", ["z", "bias"], ["y"])]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, SIDE]) for name in "xy")
    graph = helper.make_graph(nodes, "line", [x], [y], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def stored_types(path):
    return {tensor.name: tensor.data_type for tensor in onnx.load(path).graph.initializer}


@pytest.fixture
def weights():
    return np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(np.float32)


@pytest.fixture
def bias():
    return np.full(SIDE, 1 / 3, np.float32)


def test_large_constants_are_float16_and_small_ones_stay(tmp_path, weights, bias):
    path = tmp_path / "line.onnx"
    write(path, weights, bias)
    before = path.stat().st_size
    store_weights_as_float16(path)
    assert stored_types(path) == {"weights_float16": TensorProto.FLOAT16, "bias": TensorProto.FLOAT}
    assert path.stat().st_size < 0.6 * before


def test_it_computes_in_float32_with_the_rounded_weights(tmp_path, weights, bias):
    path = tmp_path / "line.onnx"
    write(path, weights, bias)
    store_weights_as_float16(path)
    onnx.checker.check_model(onnx.load(path))
    x = np.linspace(-1, 1, SIDE, dtype=np.float32)[None]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = x @ weights.astype(np.float16).astype(np.float32) + bias
    np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, atol=1e-5)


def test_values_beyond_float16_stay_float32(tmp_path, weights, bias):
    path = tmp_path / "line.onnx"
    weights[3, 4] = -70_000
    write(path, weights, bias)
    store_weights_as_float16(path)
    assert stored_types(path)["weights"] == TensorProto.FLOAT


def test_whole_numbers_are_no_weights(tmp_path):
    path = tmp_path / "table.onnx"
    table = numpy_helper.from_array(np.arange(2 * SMALLEST_STORED_AS_FLOAT16), "table")
    y = helper.make_tensor_value_info("y", TensorProto.INT64, [2 * SMALLEST_STORED_AS_FLOAT16])
    graph = helper.make_graph([helper.make_node("Identity", ["table"], ["y"])], "table", [], [y], [table])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    store_weights_as_float16(path)
    assert stored_types(path) == {"table": TensorProto.INT64}
