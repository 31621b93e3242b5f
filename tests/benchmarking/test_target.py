"""Which backends and precisions of a model are timed, and how each is loaded."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from samlet.benchmarking import target as module
from samlet.benchmarking.target import Target, best_target, find_targets, opened
from samlet.errors import BackendError, InputError, UnknownBackendError, UnknownModelError
from samlet.runtime.choice import Choice


@pytest.fixture
def artifact(tmp_path):
    """Makes a folder with a manifest of a precision."""

    def make(name, precision):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(json.dumps({"precision": precision}))
        return str(tmp_path / name)

    return make


@pytest.fixture(autouse=True)
def shipped(artifact, monkeypatch):
    """The default model ships in float32."""
    folder = artifact("shipped", "float32")
    default = "efficientvit-sam-b0"
    monkeypatch.setattr(module, "shipped_folder", lambda name: module.Path(folder) if name == default else None)


def names(*arguments, **options):
    return [target.name for target in find_targets(*arguments, **options)]


def test_a_model_that_ships_runs_everywhere():
    assert names(["efficientvit-sam-b0"]) == [
        "efficientvit-sam-b0/onnx/float32",
        "efficientvit-sam-b0/openvino/float32",
        "efficientvit-sam-b0/openvino/bfloat16",
        "efficientvit-sam-b0/torch/float32",
    ]


def test_a_folder_runs_in_what_it_stores(artifact):
    folders = [artifact("small", "int8"), artifact("half", "float16-weights")]
    found = ["small/onnx/int8", "small/openvino/int8"]
    found += ["half/onnx/float16-weights", "half/openvino/float16-weights", "half/openvino/bfloat16"]
    assert names(folders) == found
    assert names(folders, ["openvino"], ["int8", "bfloat16"]) == ["small/openvino/int8", "half/openvino/bfloat16"]


@pytest.mark.parametrize("options", [{}, {"device": "cpu"}, {"backends": ["torch"]}])
def test_other_models_need_torch(options):
    assert names(["mobile-sam"], **options) == ["mobile-sam/torch/float32"]


def test_a_device_leaves_torch_in_all_its_precisions():
    targets = find_targets(["efficientvit-sam-b0"], device="cuda", random_weights=True)
    assert [target.precision for target in targets] == ["float32", "bfloat16", "float16"]
    assert {(target.backend, target.device, target.random_weights) for target in targets} == {("torch", "cuda", True)}


def test_half_precision_on_the_cpu_is_timed_where_it_is_wanted():
    assert names(["mobile-sam"], precisions=["bfloat16"]) == ["mobile-sam/torch/bfloat16"]


def test_tensorrt_is_timed_where_it_is_named(artifact):
    assert names([artifact("half", "float16")], ["tensorrt"]) == ["half/tensorrt/float16"]


@pytest.mark.parametrize(
    ("models", "options", "error", "words"),
    [
        (["mobile-sam"], {"backends": ["abacus"]}, UnknownBackendError, "abacus.*onnx, openvino, tensorrt, torch"),
        (["no-such-model"], {}, UnknownModelError, "no-such-model"),
        (["mobile-sam"], {"precisions": ["int4"]}, InputError, "runs in int4"),
        (["mobile-sam", "mobile-sam"], {}, InputError, "called mobile-sam/torch/float32"),
        (["mobile-sam", "sam-vit-h"], {"checkpoint": "a.pt"}, InputError, "a.pt belongs to one model, but 2"),
        (["efficientvit-sam-b0"], {"checkpoint": "a.pt", "backends": ["onnx"]}, InputError, "a.pt is for torch"),
        (["mobile-sam"], {"checkpoint": "a.pt", "random_weights": True}, InputError, "a.pt is for torch"),
    ],
)
def test_what_makes_no_sense_is_refused(models, options, error, words):
    with pytest.raises(error, match=words):
        find_targets(models, **options)


def test_a_folder_without_a_manifest_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackendError, match="empty is no exported model"):
        find_targets([str(tmp_path / "empty")])


def test_the_best_target_names_what_auto_is(artifact, monkeypatch):
    monkeypatch.setattr(module, "choose", lambda _: Choice("openvino", "onnx", "it is fast", 1, 3))
    small = artifact("small", "int8")
    assert best_target(small).name == "small/openvino+onnx/int8"
    assert [best_target(small, threads=wished).threads for wished in (None, 2)] == [3, 2]
    assert best_target("mobile-sam", checkpoint="a.pt") == Target("mobile-sam", "torch", checkpoint="a.pt")
    assert best_target("efficientvit-sam-b0", "onnx", checkpoint="a.pt") == Target("efficientvit-sam-b0", "onnx")


@pytest.mark.parametrize(
    ("target", "options"),
    [
        (Target("a", "onnx", "int8", threads=2), {"backend": "onnx", "threads": 2}),
        (Target("a", "openvino", "bfloat16"), {"backend": "openvino", "precision": "bfloat16"}),
        (
            Target("a", "torch", device="cuda", threads=2),
            {"backend": "torch", "device": "cuda", "precision": "float32"},
        ),
        (
            Target("a", "torch", "float16", checkpoint=module.Path("a.pt")),
            {"backend": "torch", "checkpoint": "a.pt", "precision": "float16"},
        ),
        (Target("a", "tensorrt", "float16"), {"backend": "tensorrt"}),
    ],
)
def test_how_a_target_is_loaded(target, options):
    assert target.load_options() == options


def test_random_weights_are_opened_without_a_file(monkeypatch):
    fused = []
    spec = SimpleNamespace(check_task=lambda task: None)
    built = SimpleNamespace(spec=spec)
    parts = {
        "samlet.runtime.torch": SimpleNamespace(
            TorchBackend=lambda *given: SimpleNamespace(spec=given[1], given=given)
        ),
        "samlet.nn.fusion": SimpleNamespace(fuse=fused.append),
    }
    monkeypatch.setattr(module, "import_with_extra", lambda name, extra, purpose: parts[name])
    monkeypatch.setattr(module, "load_module", lambda name, task: built)
    predictor = opened(Target("mobile-sam", "torch", random_weights=True, device="cuda"))
    assert predictor.backend.given == (built, spec, "cuda", "float32")
    assert fused == [built]
