"""What auto takes: a guess, until this machine was measured."""

from __future__ import annotations

import json
from importlib import import_module

import pytest

from samlet.errors import BackendError
from samlet.runtime import choice as module
from samlet.runtime.choice import TUNING, Choice, choose, guess, parts_of, read_choice, write_choice

MEASURED = Choice("openvino", "onnx", "measured", 1, None)


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A cache of its own, and what this machine has: changed by tests."""
    monkeypatch.setenv("SAMLET_CACHE", str(tmp_path / "cache"))
    has = {"openvino": True, "features": ("AVX-512", "VNNI"), "cpu": "Abacus 3000", "cores": 4, "cuda": False}
    monkeypatch.setattr(module, "find_spec", lambda name: has[name] or None)
    monkeypatch.setattr(module, "cpu_features", lambda: has["features"])
    monkeypatch.setattr(module, "cpu_name", lambda: has["cpu"])
    monkeypatch.setattr(module, "usable_cores", lambda: has["cores"])
    monkeypatch.setattr(module, "_version", lambda name: has.get(f"version of {name}"))
    monkeypatch.setattr(import_module("samlet.runtime.sessions"), "has", lambda provider: has["cuda"])
    return has


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b0").mkdir()
    (tmp_path / "b0" / "manifest.json").write_text(json.dumps({"precision": "float32", "files": {"encoder.onnx": "1"}}))
    return tmp_path / "b0"


@pytest.mark.parametrize(
    ("precision", "changed", "name", "reason"),
    [
        ("float32", {}, "onnx", "AVX-512 and VNNI: in float32 ONNX Runtime encodes as fast"),
        ("float32", {"features": ()}, "onnx", "neither AVX-512 nor VNNI"),
        ("float32", {"openvino": False}, "onnx", "openvino is not installed"),
        ("int8", {}, "openvino+onnx", "OpenVINO encodes faster in int8"),
        ("int8", {"openvino": False}, "onnx", "openvino is not installed"),
        ("int8", {"cuda": True}, "onnx", "installed for CUDA"),
        ("bfloat16", {"openvino": False}, "openvino+onnx", "only OpenVINO computes in bfloat16"),
    ],
)
def test_the_guess(machine, precision, changed, name, reason):
    machine.update(changed)
    assert guess(precision).name == name
    assert reason in guess(precision).reason


def test_what_was_measured_counts(folder):
    assert choose(folder).name == "onnx"
    path = write_choice(folder, MEASURED, {"encode_ms": {"onnx": 9.0}})
    assert choose(folder) == MEASURED
    assert json.loads(path.read_text())["measured"] == {"encode_ms": {"onnx": 9.0}}
    assert choose(folder, "bfloat16") == guess("bfloat16")  # of which nothing was measured


@pytest.mark.parametrize("changed", [{"cpu": "Abacus 3001"}, {"cores": 2}, {"version of onnxruntime": "9"}])
def test_another_machine_or_version_is_measured_anew(machine, folder, changed):
    write_choice(folder, MEASURED, {})
    machine.update(changed)
    assert read_choice(folder) is None


def test_another_model_is_measured_anew(folder):
    write_choice(folder, MEASURED, {})
    (folder / "manifest.json").write_text(json.dumps({"files": {"encoder.onnx": "2"}}))
    assert read_choice(folder) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"choice": null}',
        '{"choice": {"encoder": "onnx", "decoder": "abacus", "reason": ""}}',
        '{"choice": {"encoder": ["onnx"], "decoder": "onnx", "reason": ""}}',
        '{"choice": {"encoder": "onnx", "decoder": "onnx", "reason": "", "encoder_threads": 99}}',
    ],
)
def test_a_damaged_file_is_as_good_as_none(folder, content):
    write_choice(folder, MEASURED, {}).write_text(content)
    assert choose(folder) == guess()


def test_without_a_cache_nothing_is_kept(folder, monkeypatch):
    monkeypatch.setattr(module, "has_cache", lambda: False)
    assert write_choice(folder, MEASURED, {}) is None
    assert read_choice(folder) is None


def test_the_cache_need_not_be_there(folder, tmp_path):
    assert read_choice(folder) is None
    (tmp_path / "cache" / TUNING).mkdir(parents=True)
    assert read_choice(folder) is None


def test_no_artifact(tmp_path):
    with pytest.raises(BackendError, match="is no exported model"):
        choose(tmp_path)


def test_names_of_composed_backends():
    assert parts_of("onnx") == ("onnx", "onnx")
    assert parts_of("openvino+onnx") == ("openvino", "onnx")
    assert MEASURED.name == "openvino+onnx"
