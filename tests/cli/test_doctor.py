from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from samlet.benchmarking.tuning import Offer, Tuned
from samlet.cli import machine
from samlet.runtime.choice import TUNING, Choice


@pytest.fixture(autouse=True)
def runtimes(monkeypatch):
    """Stand-ins for the runtimes, which take seconds to import."""
    onnx = SimpleNamespace(get_available_providers=lambda: ["CPUExecutionProvider"])
    torch = SimpleNamespace(
        cuda=SimpleNamespace(device_count=lambda: 1, get_device_name=lambda index: f"Card {index}"),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: True)),
        get_num_threads=lambda: 3,
    )
    core = SimpleNamespace(
        get_property=lambda device, name: "Old CPU " if name == "FULL_DEVICE_NAME" else ["FP32", "BIN", "INT8"]
    )
    found = {"onnxruntime": onnx, "openvino": SimpleNamespace(Core=lambda: core), "torch": torch}

    def openvino_core():
        return import_module("openvino").Core()

    def import_module(name):
        if isinstance(found.get(name), Exception):
            raise found[name]
        return found[name]

    monkeypatch.setattr(machine, "import_module", import_module)
    monkeypatch.setattr(machine, "import_without_telemetry", import_module)
    monkeypatch.setattr(machine, "openvino_core", openvino_core)
    monkeypatch.setattr("samlet.cli.doctor.choose", lambda _: Choice("abacus", "abacus", "it is the only one"))
    return found


def test_the_report_is_complete(samlet, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    code, out, err = samlet("doctor")
    assert (code, err) == (0, "")
    headings = "samlet packages cpu threads memory cache default" + 5 * " backend"
    assert [line.split()[0] for line in out.splitlines()] == headings.split()
    assert "OMP_NUM_THREADS is 7" in out
    lines = {" ".join(line.split()) for line in out.splitlines()}
    assert {"backend onnx runs: CPUExecutionProvider", "backend openvino runs: CPU (Old CPU; FP32, INT8)"} <= lines
    assert "backend auto abacus: it is the only one" in lines
    assert "cuda:0 (Card 0), mps, cpu (3 threads)" in out


def test_json(samlet, tmp_path):
    facts = json.loads(samlet("doctor", "--json")[1])
    assert facts["cache"] == {"folder": str(tmp_path / "cache"), "size_bytes": 0}
    assert facts["cpu"]["usable_cores"] >= 1
    assert facts["python"] == sys.version.split()[0]
    assert facts["packages"]["numpy"]
    assert [(state["name"], state["runs"]) for state in facts["backends"]] == [
        ("onnx", True),
        ("openvino", True),
        ("tensorrt", False),
        ("torch", True),
    ]
    assert facts["auto"] == {"backend": "abacus", "reason": "it is the only one"}


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "torch is not installed"),
        (ModuleNotFoundError("No module named 'sympy'", name="sympy"), "torch is broken: No module named 'sympy'"),
        (
            OSError("libcudart.so.13: cannot open\nand more"),
            "torch is installed but fails: libcudart.so.13: cannot open",
        ),
        (RuntimeError(), "torch is installed but fails: RuntimeError"),
    ],
)
def test_a_backend_that_cannot_run_says_why_and_what_helps(samlet, runtimes, error, detail):
    runtimes["torch"] = error
    assert f'cannot run: {detail}; pip install "samlet[torch]"' in samlet("doctor")[1]


def test_tensorrt_needs_an_onnx_runtime_that_was_built_with_it(samlet, runtimes):
    line = "cannot run: the installed onnxruntime has no TensorrtExecutionProvider; pip install onnxruntime-gpu"
    assert line in samlet("doctor")[1]
    runtimes["onnxruntime"].get_available_providers = lambda: ["TensorrtExecutionProvider", "CPUExecutionProvider"]
    lines = {" ".join(line.split()) for line in samlet("doctor")[1].splitlines()}
    assert "backend tensorrt runs: TensorrtExecutionProvider" in lines


def test_the_backends_are_those_that_can_be_loaded():
    loading = pytest.importorskip("samlet.loading")
    assert [state.name for state in machine.backend_states()] == [name for name in loading.BACKENDS if name != "auto"]


def test_a_system_that_tells_nothing(samlet, monkeypatch):
    monkeypatch.delattr(machine.os, "sysconf")
    assert "an unknown size free of an unknown size" in samlet("doctor")[1]


def test_twins_of_opencv_are_told(samlet, monkeypatch):
    monkeypatch.setattr("samlet.cli.doctor.opencv_packages", lambda: ["opencv-python", "opencv-python-headless"])
    _, out, _ = samlet("doctor")
    assert "opencv-python and opencv-python-headless share one folder, cv2: pip uninstall all but one" in out


@pytest.fixture
def tuned(monkeypatch):
    """What tuning measures; tests change the load of the machine."""
    choice = Choice("openvino", "onnx", "openvino encodes in 20 ms, onnx decodes fastest")
    offer = Offer(1.7, 0.9951, 0.912, offered=True)
    measured = Tuned({"onnx": 37.3, "openvino": 20.0}, {"onnx": 14.9}, {"onnx": 184.0}, choice, offer)
    monkeypatch.setattr("samlet.benchmarking.tuning.tune", lambda folder, progress: measured)
    monkeypatch.setattr("samlet.cli.doctor.os.getloadavg", lambda: (0.1, 0, 0))
    return measured


def test_tuning_is_told_and_kept(samlet, tuned, tmp_path):
    code, out, _ = samlet("doctor", "--tune")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert "tuning: encode 20.0 ms openvino, 37.3 ms onnx" in lines
    assert "tuning: mobile-sam-slim openvino encodes in 20 ms, onnx decodes fastest" in lines
    assert "offered, --precision bfloat16: encodes 1.7 times as fast, mask IoU with float32 0.9951 on average" in out
    (kept,) = (tmp_path / "cache" / TUNING).iterdir()
    assert json.loads(kept.read_text())["choice"]["encoder"] == "openvino"
    assert f"uses it from now on (kept in {kept})" in out


def test_what_a_busy_machine_measures_is_not_kept(samlet, tuned, monkeypatch, tmp_path):
    monkeypatch.setattr("samlet.cli.doctor.os.getloadavg", lambda: (99.0, 0, 0))
    out = samlet("doctor", "--tune")[1]
    assert "does not use it (kept nowhere: the machine was busy)" in out
    assert "load average 99.0" in out
    assert not (tmp_path / "cache" / TUNING).exists()


def test_tuning_as_json(samlet, tuned):
    facts = json.loads(samlet("doctor", "--tune", "--json")[1])["tuning"]
    assert (facts["kept"], facts["choice"]["decoder"], facts["bfloat16"]["offered"]) == (True, "onnx", True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--model", "mobile-sam"], "give --tune too"), (["--tune", "--model", "mobile-sam"], "runs in torch alone")],
)
def test_what_cannot_be_tuned(samlet, arguments, words):
    code, _, err = samlet("doctor", *arguments)
    assert (code, words in err) == (2, True)
