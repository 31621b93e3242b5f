"""What a benchmark times, with a backend that has no network: which figures there are, of what, and when not."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest
from tests.cli.disc import predictor

import samlet
from samlet.benchmarking import steps
from samlet.benchmarking.steps import COLD_START, PHOTO, Plan, cold_start, measure, photo_facts
from samlet.benchmarking.target import Target
from samlet.errors import BackendError, ImageError

TARGET = Target("efficientvit-sam-b0", "onnx")


@pytest.fixture(autouse=True)
def model(monkeypatch):
    disc = predictor()
    monkeypatch.setattr(steps, "opened", lambda target: disc)
    monkeypatch.setattr(steps, "weights_hash", lambda *of: f"hash of {of[1]}")
    monkeypatch.setattr(steps, "PROMPT_BATCHES", (1, 3))
    monkeypatch.setattr(steps, "IMAGE_BATCHES", (1, 2))
    return disc


def test_every_step_has_its_figures():
    measured = measure(TARGET, Plan(steps.STEPS, repeats=2, points_per_side=2))
    assert (measured.model, measured.weights_sha256) == ("disc", "hash of efficientvit-sam-b0")
    units = {
        "encode": "ms",
        "embed": "ms",
        "decode, a prompt of 1": "ms",
        "decode, a prompt of 3": "ms",
        "first click": "ms",
        "click": "ms",
        "first answer, a click": "ms",
        "first answer, a box": "ms",
        "everything, 2 x 2 points": "s",
        "throughput, 1 at once": "images/s",
        "throughput, 2 at once": "images/s",
    }
    figures = {name: figure for name, figure in measured.figures.items() if not name.startswith("peak memory")}
    assert {name: figure.unit for name, figure in figures.items()} == units
    assert all(len(figure.values) == 2 and figure.median > 0 for figure in figures.values())


def test_memory_is_told_after_each_step_where_it_is_known(monkeypatch):
    peaks = iter([100.0, 200.0])
    monkeypatch.setattr(steps, "peak_memory_mb", lambda: next(peaks))
    figures = measure(TARGET, Plan(("click", "encode"), repeats=1)).figures
    memory = {name: figure.median for name, figure in figures.items() if figure.unit == "MB"}
    assert memory == {"peak memory after encode": 100, "peak memory after click": 200}
    monkeypatch.setattr(steps, "peak_memory_mb", lambda: None)
    assert set(measure(TARGET, Plan(("encode",), repeats=1)).figures) == {"encode", "embed"}


def test_the_first_click_has_an_embedding_of_its_own_each_time(model, monkeypatch):
    seen = []
    decode = model.backend.decode
    monkeypatch.setattr(
        type(model.backend), "decode", lambda self, features, *rest: seen.append(features) or decode(features, *rest)
    )
    measure(TARGET, Plan(("click",), repeats=2))
    first, later = seen[:3], seen[3:]
    assert len({id(features["image_embeddings"]) for features in first}) == 3
    assert len(later) == 3
    assert len({id(features["image_embeddings"]) for features in later}) == 1


def test_a_batch_is_divided_among_its_items(monkeypatch):
    monkeypatch.setattr(steps, "time_runs", lambda run, given, repeats: [run(given()) is None or 6.0])
    figures = measure(TARGET, Plan(("decode", "throughput"), repeats=1)).figures
    assert figures["decode, a prompt of 3"].values == (2000,)
    assert figures["throughput, 2 at once"].values == (pytest.approx(1 / 3),)


def test_random_weights_say_nothing_of_everything_mode():
    target = Target("mobile-sam", "torch", random_weights=True)
    measured = measure(target, Plan(("encode", "everything"), repeats=1))
    assert "encode" in measured.figures
    assert measured.weights_sha256 is None
    assert not any("everything" in name for name in measured.figures)


def test_a_cold_start_is_a_new_process_that_makes_a_mask(monkeypatch):
    started = []

    def run(command, env, **_):
        started.append((command, env))
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    figure = cold_start(Target("folder", "onnx", threads=2), Plan((COLD_START,), repeats=10))
    assert (figure.unit, len(figure.values), len(started)) == ("s", 1, 2)  # in each turn
    command, environment = started[0]
    assert '["folder", {"backend": "onnx", "threads": 2}' in command[-1]
    assert environment["OMP_NUM_THREADS"] == "2"


def test_the_cold_start_program_is_what_a_user_writes(monkeypatch, capsys):
    """Run here, with a model that has no network: its names and arguments exist."""
    asked = []
    monkeypatch.setattr(samlet, "load", lambda name, **options: asked.append((name, options)) or predictor())

    def run(command, **_):
        monkeypatch.setattr("sys.argv", ["-c", command[-1]])
        exec(compile(command[2], "cold start", "exec"), {})
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    cold_start(TARGET, Plan((COLD_START,), repeats=1))
    assert asked == [("efficientvit-sam-b0", {"backend": "onnx"})] * 2


def test_a_cold_start_that_fails_says_why(monkeypatch):
    monkeypatch.setattr(steps, "_COLD_START", "raise SystemExit('no model')")
    with pytest.raises(BackendError, match=r"efficientvit-sam-b0/onnx/float32 does not start.*no model"):
        cold_start(TARGET, Plan((COLD_START,)))


def test_the_photo(tmp_path):
    assert photo_facts(PHOTO) == {"name": "coffee.jpg", "width": 600, "height": 400}
    with pytest.raises(ImageError):
        photo_facts(tmp_path / "gone.jpg")
