"""Which sessions are asked of ONNX Runtime for a GPU, by a stand-in: no test has a GPU."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.tiny import tiny_model

from samlet.errors import BackendError
from samlet.files import sha256_of
from samlet.runtime import sessions
from samlet.runtime.artifact import DECODER, ENCODER, GRAPHS, MANIFEST, PROJECTOR, UPSCALER, manifest_record
from samlet.runtime.onnx import OnnxBackend
from samlet.runtime.tensorrt import TensorRtBackend

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


@pytest.fixture
def folder(tmp_path):
    """An artifact of four files that are no graphs, which nobody but the stand-in opens."""
    path = tmp_path / "artifact"
    path.mkdir()
    for name in GRAPHS:
        (path / name).write_text(name)
    (path / MANIFEST).write_text(json.dumps(manifest_record(path, tiny_model().spec, "float16")))
    return path


@pytest.fixture
def runtime(monkeypatch, tmp_path):
    """Stands in for ONNX Runtime: providers it was built with, those whose libraries are missing, what it opened."""
    state = SimpleNamespace(built_with=[TENSORRT, CUDA, CPU], missing=[], opened={})

    class Session:
        def __init__(self, path, options, providers):
            self.providers = [each if isinstance(each, str) else each[0] for each in providers]
            state.opened[Path(path).name] = dict(each for each in providers if not isinstance(each, str)) | {
                "providers": self.providers,
                "threads": options.intra_op_num_threads,
            }

        def get_providers(self):
            return [each for each in self.providers if each not in state.missing]

        def get_outputs(self):
            return []

    monkeypatch.setattr(sessions.onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(sessions.onnxruntime, "get_available_providers", lambda: state.built_with)
    monkeypatch.setenv("SAMLET_CACHE", str(tmp_path / "cache"))
    return state


def test_the_encoder_is_for_tensorrt_and_the_rest_for_cuda(folder, runtime, tmp_path):
    backend = TensorRtBackend.from_folder(folder, threads=2)
    assert (backend.name, backend.spec) == ("tensorrt", tiny_model().spec)
    assert runtime.opened == {}
    for name in GRAPHS:
        backend._graph(name)
    assert runtime.opened[ENCODER]["providers"] == [TENSORRT, CUDA, CPU]
    for name in (PROJECTOR, DECODER, UPSCALER):
        assert runtime.opened[name] == {"providers": [CUDA, CPU], "threads": 2}
    engines = tmp_path / "cache" / "tensorrt" / sha256_of(folder / ENCODER)[:16]
    assert engines.is_dir()
    assert runtime.opened[ENCODER][TENSORRT] == {
        "trt_fp16_enable": "False",  # the artifact says what is float16
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(engines),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(engines),
    }


def test_without_tensorrt_it_is_refused(folder, runtime):
    runtime.built_with = [CUDA, CPU]
    with pytest.raises(BackendError, match=r"onnxruntime has no TensorRT: install onnxruntime-gpu in its place"):
        TensorRtBackend.from_folder(folder)


@pytest.mark.parametrize(("missing", "name"), [(TENSORRT, ENCODER), (CUDA, DECODER)])
def test_a_provider_without_its_libraries_is_not_passed_over(folder, runtime, missing, name):
    runtime.missing = [missing]
    with pytest.raises(BackendError, match=f"cannot start its {missing}"):
        TensorRtBackend.from_folder(folder)._graph(name)


@pytest.mark.parametrize(
    ("device", "built_with", "providers"),
    [
        (None, [CPU], [CPU]),
        (None, [CUDA, CPU], [CUDA, CPU]),
        ("cpu", [TENSORRT, CUDA, CPU], [CPU]),
        ("cuda", [TENSORRT, CUDA, CPU], [CUDA, CPU]),
    ],
)
def test_where_the_onnx_backend_runs(folder, runtime, device, built_with, providers):
    runtime.built_with = built_with
    OnnxBackend.from_folder(folder, device=device)._graph(UPSCALER)
    assert runtime.opened[UPSCALER]["providers"] == providers


@pytest.mark.parametrize(
    ("device", "sentence"),
    [("cuda", 'cannot use the device "cuda": install onnxruntime-gpu'), ("mps", 'no device "mps": use cpu, cuda')],
)
def test_a_device_that_onnx_runtime_has_not(folder, runtime, device, sentence):
    runtime.built_with = [CPU]
    with pytest.raises(BackendError, match=sentence):
        OnnxBackend.from_folder(folder, device=device)


def test_cuda_without_its_libraries_is_refused_only_where_it_was_asked_for(folder, runtime):
    runtime.missing = [CUDA]
    OnnxBackend.from_folder(folder)._graph(DECODER)
    with pytest.raises(BackendError, match=f"cannot start its {CUDA}"):
        OnnxBackend.from_folder(folder, device="cuda")._graph(DECODER)
