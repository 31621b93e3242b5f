from __future__ import annotations

import copy
import json
import pickle
import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from tests.fake_backend import FakeBackend

from samlet import loading
from samlet.errors import (
    BackendError,
    CheckpointError,
    InputError,
    MissingExtraError,
    UnknownBackendError,
    UnknownModelError,
    WeightsError,
)
from samlet.loading import load, load_module
from samlet.models.registry import DEFAULT_MODEL, get_spec, shipped_folder
from samlet.runtime import choice
from samlet.runtime.choice import Choice, write_choice


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMLET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def opened(monkeypatch):
    """Stands in for ONNX Runtime: lists (folder, threads, device) of artifacts opened; all hold the default model."""
    calls = []

    def from_folder(path, threads=None, device=None, *, images_kept=2):
        calls.append((path, threads, device))
        return FakeBackend(name="onnx", spec=get_spec(DEFAULT_MODEL))

    monkeypatch.setattr("samlet.runtime.onnx.OnnxBackend.from_folder", from_folder)
    return calls


@pytest.fixture
def compiled(monkeypatch):
    """Stands in for OpenVINO, as `opened` for ONNX Runtime; lists (folder, threads, precision)."""
    calls = []

    def from_folder(path, threads=None, precision="float32", *, images_kept=2):
        calls.append((path, threads, precision))
        return FakeBackend(name="openvino", spec=get_spec(DEFAULT_MODEL))

    monkeypatch.setattr("samlet.runtime.openvino.OpenVinoBackend.from_folder", from_folder)
    return calls


@pytest.fixture(autouse=True)
def processor(monkeypatch):
    """What the machine has, to choose a backend by: changed by tests."""
    has = {"openvino": True, "providers": ["CPUExecutionProvider"]}
    monkeypatch.setattr(choice, "find_spec", lambda name: has[name] or None)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: has["providers"])
    return has


@pytest.fixture
def shipped(monkeypatch, tmp_path):
    """The default model ships, and no other."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"precision": "float16-weights"}')
    monkeypatch.setattr(loading, "shipped_folder", lambda name: folder if name == DEFAULT_MODEL else None)
    return folder


@pytest.fixture
def artifact(tmp_path):
    folder = tmp_path / "exported"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    save_file = pytest.importorskip("safetensors.torch").save_file
    path = tmp_path_factory.mktemp("weights") / "b0.safetensors"
    save_file(load_module(DEFAULT_MODEL).state_dict(), path)
    return path


def test_a_model_that_was_loaded_is_pickled_as_that_call(opened, tmp_path, monkeypatch):
    model = load(threads=3)
    again = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert [threads for _, threads, _ in opened] == [3, 3]
    assert again.weights == model.weights
    assert len(model.weights) == 64
    assert copy.deepcopy(model).weights == model.weights


def test_a_folder_is_found_again_from_another_place(opened, tmp_path, monkeypatch):
    shutil.copytree(shipped_folder(DEFAULT_MODEL), tmp_path / "artifact")
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(load("artifact"))
    monkeypatch.chdir("/")
    pickle.loads(pickled)  # noqa: S301
    assert opened[1][0] == tmp_path / "artifact"


class TestOnnx:
    @pytest.mark.parametrize("arguments", [{}, {"backend": "onnx"}, {"device": "cpu"}, {"name": "mobile_sam_slim"}])
    def test_the_shipped_model_needs_nothing(self, opened, shipped, arguments):
        model = load(**arguments)
        assert (model.spec.name, model.backend.name) == (DEFAULT_MODEL, "onnx")
        assert opened == [(shipped, None, arguments.get("device"))]

    def test_threads_are_passed_on(self, opened, shipped):
        load(threads=3)
        assert opened == [(shipped, 3, None)]

    @pytest.mark.parametrize("as_checkpoint", [False, True])
    def test_an_artifact_folder_is_a_model(self, opened, artifact, as_checkpoint):
        load(checkpoint=artifact) if as_checkpoint else load(str(artifact))
        assert opened == [(artifact, None, None)]

    def test_a_folder_that_has_a_models_name_is_not_that_model(self, opened, shipped, monkeypatch, tmp_path):
        (tmp_path / DEFAULT_MODEL).mkdir()
        (tmp_path / DEFAULT_MODEL / "manifest.json").write_text("{}")
        monkeypatch.chdir(tmp_path)
        load(DEFAULT_MODEL)
        load(f"./{DEFAULT_MODEL}")
        assert [path.name for path, *_ in opened] == ["shipped", DEFAULT_MODEL]

    def test_an_artifact_of_another_model_is_refused(self, opened, artifact):
        with pytest.raises(CheckpointError, match=f"holds the model {DEFAULT_MODEL}, not mobile-sam"):
            load("mobile-sam", checkpoint=artifact)
        assert load("mobile_sam_slim", checkpoint=artifact).spec.name == DEFAULT_MODEL

    def test_torch_does_not_run_artifacts(self, artifact):
        with pytest.raises(InputError, match='use backend "onnx"'):
            load(artifact, backend="torch")

    def test_a_device_is_passed_on(self, opened, shipped, artifact):
        (artifact / "manifest.json").write_text('{"precision": "int8"}')  # for which auto takes OpenVINO, on the CPU
        load(backend="onnx", device="cuda")
        load(artifact, device="cuda")
        assert opened == [(shipped, None, "cuda"), (artifact, None, "cuda")]

    def test_a_model_that_does_not_ship_must_be_exported(self, shipped):
        with pytest.raises(WeightsError, match="samlet export mobile-sam --to onnx"):
            load("mobile-sam", backend="onnx")

    def test_a_torch_checkpoint_is_not_for_onnx(self, tmp_path):
        with pytest.raises(InputError, match="samlet export"):
            load(backend="onnx", checkpoint=tmp_path / "b0.pt")


class TestOpenVino:
    def test_it_runs_artifacts_with_threads_and_precision(self, compiled, shipped, artifact):
        assert load(backend="openvino").backend.name == "openvino"
        load(artifact, backend="openvino", threads=2, precision="bfloat16")
        assert compiled == [(shipped, None, "float32"), (artifact, 2, "bfloat16")]

    @pytest.mark.parametrize("backend", ["onnx", "onnx+openvino", "tensorrt"])
    def test_precision_is_for_openvino_and_torch(self, opened, shipped, backend):
        with pytest.raises(InputError, match='only be chosen with backend "auto", "openvino" or "torch"'):
            load(backend=backend, precision="bfloat16")

    @pytest.mark.parametrize("backend", ["auto", "openvino+onnx"])
    def test_bfloat16_is_for_the_encoder(self, opened, compiled, shipped, backend):
        assert load(backend=backend, precision="bfloat16", threads=2).backend.name == "openvino+onnx"
        assert (compiled, opened) == ([(shipped, 2, "bfloat16")], [(shipped, 2, None)])

    def test_bfloat16_needs_openvino(self, monkeypatch, shipped):
        monkeypatch.delitem(sys.modules, "samlet.runtime.openvino", raising=False)
        monkeypatch.setitem(sys.modules, "openvino", None)
        with pytest.raises(MissingExtraError, match=re.escape('pip install "samlet[openvino]"')):
            load(precision="bfloat16")

    @pytest.mark.parametrize(("backend", "device", "only"), [("openvino", "cuda", "cpu"), ("tensorrt", "cpu", "cuda")])
    def test_a_device_it_does_not_run_on(self, shipped, backend, device, only):
        with pytest.raises(BackendError, match=f'{backend} runs on the device "{only}", not on "{device}"'):
            load(backend=backend, device=device)

    def test_a_torch_checkpoint_is_not_for_openvino(self, tmp_path):
        with pytest.raises(InputError, match="samlet export"):
            load(backend="openvino", checkpoint=tmp_path / "b0.pt")

    def test_without_openvino_the_extra_is_named(self, monkeypatch, shipped):
        monkeypatch.delitem(sys.modules, "samlet.runtime.openvino", raising=False)
        monkeypatch.setitem(sys.modules, "openvino", None)
        with pytest.raises(MissingExtraError, match=re.escape('pip install "samlet[openvino]"')):
            load(backend="openvino")


class TestTensorRt:
    @pytest.mark.parametrize("device", [None, "cuda"])
    def test_it_runs_artifacts_on_cuda(self, shipped, artifact, monkeypatch, device):
        calls = []

        def from_folder(path, threads=None, *, images_kept=2):
            calls.append((path, threads))
            return FakeBackend(name="tensorrt")

        monkeypatch.setattr("samlet.runtime.tensorrt.TensorRtBackend.from_folder", from_folder)
        assert load(backend="tensorrt", device=device).backend.name == "tensorrt"
        load(artifact, backend="tensorrt", threads=2, device=device)
        assert calls == [(shipped, None), (artifact, 2)]

    def test_without_it_one_sentence_says_what_helps(self):
        with pytest.raises(BackendError, match="no TensorRT: install onnxruntime-gpu"):
            load(backend="tensorrt")


@pytest.mark.parametrize(
    ("precision", "machine", "backend"),
    [
        ("float32", {}, "onnx"),
        ("int8", {}, "openvino+onnx"),
        ("int8", {"openvino": False}, "onnx"),
        ("int8", {"providers": ["CUDAExecutionProvider"]}, "onnx"),
    ],
)
def test_auto_guesses_what_is_fastest(precision, machine, backend, processor, opened, compiled, artifact):
    processor.update(machine)
    (artifact / "manifest.json").write_text(json.dumps({"precision": precision}))
    assert load(artifact).backend.name == backend


def test_auto_takes_what_was_measured_here(opened, compiled, artifact):
    write_choice(artifact, Choice("openvino", "onnx", "measured", 1, None), {})
    assert load(artifact).backend.name == "openvino+onnx"
    assert (compiled, opened) == ([(artifact, 1, "float32")], [(artifact, None, None)])
    load(artifact, threads=2)  # the user's word counts more
    assert (compiled[1][1], opened[1][1]) == (2, 2)
    assert load(artifact, backend="onnx").backend.name == "onnx"


def test_one_runtime_may_have_other_threads_for_each(opened, artifact):
    write_choice(artifact, Choice("onnx", "onnx", "measured", 1, None), {})
    assert load(artifact).backend.name == "onnx"
    assert [threads for _, threads, _ in opened] == [1, None]


class TestTorch:
    def test_a_checkpoint_runs_in_torch(self, weights_file, shipped):
        model = load(DEFAULT_MODEL, checkpoint=weights_file)
        assert (model.spec.name, model.backend.name) == (DEFAULT_MODEL, "torch")
        kinds = {type(module).__name__ for module in model.backend.module.modules()}
        assert "BatchNorm2d" not in kinds  # what inference does not need is fused

    @pytest.mark.parametrize(("wished", "precision"), [(None, "float32"), ("float16", "float16")])
    def test_precision_is_that_of_the_device_unless_chosen(self, weights_file, wished, precision):
        model = load(DEFAULT_MODEL, checkpoint=weights_file, backend="torch", precision=wished)
        assert model.backend.precision == precision

    def test_cached_weights_are_found(self, weights_file, monkeypatch):
        monkeypatch.setattr(loading.weights, "find", lambda spec: weights_file if spec.name == DEFAULT_MODEL else None)
        assert load(backend="torch").backend.name == "torch"

    def test_another_device_than_the_cpu_means_torch(self, weights_file, shipped, monkeypatch):
        monkeypatch.setattr(loading.weights, "find", lambda spec: weights_file)
        with pytest.raises(BackendError, match='"nowhere"'):
            load(device="nowhere")

    def test_a_checkpoint_of_another_model_is_refused(self, weights_file):
        with pytest.raises(CheckpointError, match="another model"):
            load("efficientvit-sam-b1", checkpoint=weights_file)

    def test_a_missing_checkpoint_is_named(self, tmp_path):
        with pytest.raises(CheckpointError, match=r"nothing\.pt"):
            load(checkpoint=tmp_path / "nothing.pt")

    def test_threads_are_for_onnx(self, weights_file):
        with pytest.raises(InputError, match="OMP_NUM_THREADS"):
            load(checkpoint=weights_file, threads=2)

    def test_without_torch_the_extra_is_named(self, monkeypatch, weights_file):
        for name in [name for name in sys.modules if name.startswith(("samlet.models", "samlet.nn", "samlet.runtime"))]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "torch", None)
        with pytest.raises(MissingExtraError, match=re.escape('pip install "samlet[torch]"')):
            load(checkpoint=weights_file)


class TestWhatIsNotThere:
    def test_weights_are_named_with_size_license_and_remedy(self):
        checkpoint = get_spec("mobile-sam").checkpoint
        with pytest.raises(WeightsError) as caught:
            load("mobile-sam")
        for part in ("samlet models pull mobile-sam", f"{checkpoint.size_bytes / 1e6:.0f} MB", checkpoint.license):
            assert part in str(caught.value)

    def test_a_model_without_published_weights_says_so(self):
        spec = replace(get_spec("mobile-sam"), checkpoint=None)
        with pytest.raises(WeightsError, match="no published weights"):
            loading.cached_weights(spec)

    def test_the_shipped_model_in_torch_says_where_its_file_is(self, shipped):
        with pytest.raises(WeightsError, match=r"checkpoints/mobile-sam-slim\.safetensors, a file of"):
            load(backend="torch")

    def test_an_unknown_model(self):
        with pytest.raises(UnknownModelError, match="mobile-sam"):
            load("mobil-sam")

    def test_an_unknown_backend(self):
        with pytest.raises(UnknownBackendError, match='"tensorflow": use auto, onnx, openvino, tensorrt, torch'):
            load(backend="tensorflow")


class TestWhatNoMachineCanDo:
    @pytest.mark.parametrize("threads", [2.0, True, "2", 0, -1, 1025, float("nan")])
    @pytest.mark.parametrize("backend", ["onnx", "openvino", "torch"])
    def test_threads_are_a_whole_number(self, shipped, threads, backend):
        with pytest.raises(InputError, match=r"threads is .*: it must be a whole number from 1 to 1024"):
            load(backend=backend, threads=threads)

    def test_numpys_whole_numbers_are_whole(self, artifact):
        with pytest.raises(BackendError, match="is damaged"):  # which is found later than what is wrong with threads
            load(artifact, backend="onnx", threads=np.int64(2))

    @pytest.mark.parametrize(
        ("device", "remedy"),
        [("gpu", '"cuda"'), ("GPU", '"cuda"'), ("CUDA", '"cuda"'), ("metal", '"mps"'), ("tpu", '"cpu", "cuda"')],
    )
    def test_a_device_that_is_none_is_named(self, device, remedy):
        with pytest.raises(BackendError, match=f'There is no device "{device}": use {remedy}'):
            load(device=device)

    def test_a_device_is_a_name(self):
        with pytest.raises(InputError, match='it must be a name like "cpu" or "cuda:1"'):
            load(device=0)

    def test_what_is_missing_is_told_last(self):
        with pytest.raises(BackendError, match='torch cannot use the device "cuda"'):
            load("mobile-sam", device="cuda")
