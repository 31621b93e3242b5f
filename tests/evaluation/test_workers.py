"""Several processes: the same results as one, whatever the split, and nothing lost when something dies."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.fake import annotation, load, predictor, sample

from samlet.errors import BackendError, DataError
from samlet.evaluation.protocols.point import Point
from samlet.evaluation.report.summary import measure
from samlet.evaluation.results import ResultLog
from samlet.evaluation.run import evaluate
from samlet.evaluation.workers import evaluate_in_processes

PROTOCOL = Point(3)
SAMPLES = [
    sample(annotation(10 * i, 20, 60 + 15 * i, 90 + 9 * i, number=1), annotation(3, 5, 40, 33 + i, number=2), name=name)
    for i, name in enumerate(["a_1", "a_2", "b_1", "c_1", "c_2"])
]


def one_thread_variables() -> np.ndarray:
    """An image as dark as the environment has variables that are not 1."""
    wrong = [name for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if os.environ.get(name) != "1"]
    if wrong:
        raise DataError(f"{wrong} are not 1")
    return np.zeros((256, 256, 3), np.uint8)


def kill_this_process() -> np.ndarray:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("killed")


def missing_image() -> np.ndarray:
    raise DataError("a_2: the image is gone")


def test_workers_measure_what_one_process_does_and_go_on(tmp_path: Path) -> None:
    alone = evaluate(predictor(), SAMPLES, PROTOCOL, ResultLog(tmp_path / "alone" / "images.jsonl", {}))
    seen: list[str] = []
    log = ResultLog(tmp_path / "two" / "images.jsonl", {})
    evaluate(predictor(), SAMPLES[1:2], PROTOCOL, log)
    together = evaluate_in_processes(load, 2, SAMPLES, PROTOCOL, log, lambda result: seen.append(result.name))
    assert sorted(seen) == ["a_1", "b_1", "c_1", "c_2"]
    assert [(r.name, r.instances) for r in together] == [(r.name, r.instances) for r in alone]
    assert measure(together) == measure(alone)
    assert evaluate_in_processes(load, 2, SAMPLES, PROTOCOL, log) == together


def test_a_worker_has_one_thread_and_the_parent_its_own_environment(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    only = replace(SAMPLES[0], image=one_thread_variables)
    assert evaluate_in_processes(load, 4, [only], PROTOCOL, ResultLog(tmp_path / "images.jsonl", {}))
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_what_stops_a_measurement_is_raised(tmp_path: Path) -> None:
    log = ResultLog(tmp_path / "images.jsonl", {})
    with pytest.raises(DataError, match="a_2: the image is gone"):
        evaluate_in_processes(load, 1, [SAMPLES[0], replace(SAMPLES[1], image=missing_image)], PROTOCOL, log)
    assert "a_1" in ResultLog(tmp_path / "images.jsonl", {})


def test_a_dead_worker_is_one_sentence(tmp_path: Path) -> None:
    log = ResultLog(tmp_path / "images.jsonl", {})
    with pytest.raises(BackendError, match="A worker process died"):
        evaluate_in_processes(load, 1, [SAMPLES[0], replace(SAMPLES[1], image=kill_this_process)], PROTOCOL, log)
    assert evaluate(predictor(), SAMPLES, PROTOCOL, log)
