"""What only the OpenVINO backend has: a precision of the arithmetic, and threads it can be held to."""

from __future__ import annotations

import pytest
from tests.tiny import tiny_artifact

from samlet.errors import BackendError
from samlet.runtime import openvino as runtime
from samlet.runtime.artifact import UPSCALER
from samlet.runtime.openvino import OpenVinoBackend


class Cpu:
    """Stands in for OpenVINO's Core: a CPU with these capabilities, which notes what it is told."""

    def __init__(self, *capabilities):
        self.capabilities = capabilities

    def get_property(self, device, name):
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return list(self.capabilities)


@pytest.mark.parametrize("precision", [None, "float32"])
def test_float32_is_asked_for_even_where_there_is_bfloat16(monkeypatch, precision):
    monkeypatch.setattr(runtime, "openvino_core", lambda: Cpu("FP32", "BF16"))
    options = {} if precision is None else {"precision": precision}
    assert OpenVinoBackend.from_folder(tiny_artifact(), **options)._config["INFERENCE_PRECISION_HINT"] == "f32"


def test_bfloat16_where_the_cpu_has_it(monkeypatch):
    monkeypatch.setattr(runtime, "openvino_core", lambda: Cpu("FP32", "BF16"))
    backend = OpenVinoBackend.from_folder(tiny_artifact(), precision="bfloat16")
    assert backend._config["INFERENCE_PRECISION_HINT"] == "bf16"


def test_bfloat16_is_refused_where_the_cpu_lacks_it(monkeypatch):
    monkeypatch.setattr(runtime, "openvino_core", lambda: Cpu("FP32", "INT8"))
    with pytest.raises(BackendError, match="cannot compute in bfloat16"):
        OpenVinoBackend.from_folder(tiny_artifact(), precision="bfloat16")


def test_an_unknown_precision_is_named():
    with pytest.raises(BackendError, match='no precision "float4": use float32, bfloat16'):
        OpenVinoBackend.from_folder(tiny_artifact(), precision="float4")


def test_a_compiled_graph_has_the_threads_and_the_precision_asked_for():
    backend = OpenVinoBackend.from_folder(tiny_artifact(), threads=1)
    compiled = backend._graph(UPSCALER)._compiled
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
