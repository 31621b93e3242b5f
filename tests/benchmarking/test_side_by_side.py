"""Everything mode beside the reference: who runs where, what is compared with what."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.cli.disc import predictor
from tests.tiny import tiny_model

from samlet.benchmarking import side_by_side
from samlet.benchmarking.side_by_side import (
    Found,
    Reference,
    compare,
    find,
    find_by_reference,
    matched,
    reference_of,
    total,
)
from samlet.benchmarking.steps import PHOTO
from samlet.benchmarking.target import Target
from samlet.errors import WeightsError
from samlet.geometry.rle import encode

TARGET = Target("efficientvit-sam-b0", "onnx", threads=2)


def codes(*boxes):
    """Codes of rectangles, (x0, x1) wide, in an image of 10 x 100 pixels."""
    masks = np.zeros((len(boxes), 10, 100), bool)
    for mask, (x0, x1) in zip(masks, boxes, strict=True):
        mask[:, x0:x1] = True
    return [encode(mask) for mask in masks]


@pytest.mark.parametrize(
    ("wanted", "found", "share"),
    [
        ([], [(0, 5)], None),
        ([(0, 5)], [], 0),
        ([(0, 100)], [(0, 95)], 1),  # IoU 0.95
        ([(0, 100)], [(0, 94)], 0),
        ([(0, 50), (50, 100)], [(0, 50), (0, 50)], 0.5),
    ],
)
def test_matched(wanted, found, share):
    assert matched(codes(*wanted), codes(*found)) == share


def row(ours, theirs, share, recall=None, memory=500.0):
    def found(masks):
        return {"masks": masks, "seconds": 2.0, "cpu_seconds": 3.0, "peak_memory_mb": memory}

    return {
        "ours": found(ours),
        "fast": found(0) | {"recall": recall},
        "reference": found(theirs) | {"seconds": 9.0},
        "matched": share,
    }


def test_the_total_weighs_masks_and_not_photos():
    whole = total([row(10, 1, 0.0, recall=1.0), row(30, 3, 1.0, recall=0.5, memory=None), row(0, 0, None)])
    assert (whole["ours"]["masks"], whole["reference"]["masks"]) == (40, 4)
    assert whole["matched"] == 0.75
    assert whole["fast"]["recall"] == pytest.approx(25 / 40)
    assert (whole["ratio"], whole["cpu_ratio"]) == (4.5, 1.0)
    assert whole["ours"]["peak_memory_mb"] == 500


def test_the_total_of_ours_alone():
    whole = total([{"ours": {"masks": 1, "seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_mb": None}}])
    assert whole == {"ours": {"masks": 1, "seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_mb": None}}


@pytest.fixture
def workers(monkeypatch):
    """Workers that are this process; the fixture lists what each was asked."""
    asked = []

    class Worker:
        def __init__(self, threads):
            self.calls = []
            asked.append((threads, self.calls))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def call(self, function, *arguments, **options):
            self.calls.append((function.__name__, options))
            return ANSWERS[function.__name__, bool(options)]

    monkeypatch.setattr(side_by_side, "Worker", Worker)
    return asked


ANSWERS = {
    ("find", False): Found(codes((0, 50), (50, 100)), 2.0, 3.0, 700.0),
    ("find", True): Found(codes((0, 50)), 1.0, 1.5, 800.0),
    ("find_by_reference", False): Found(codes((0, 50), (50, 100), (0, 10), (0, 100)), 20.0, 36.0, None),
}


def test_each_runs_in_its_own_worker_and_is_compared(workers):
    reference = Reference("efficientvit-sam-b0", PHOTO)
    [row] = compare(TARGET, [PHOTO], 8, reference=reference, fast=True)
    assert [threads for threads, _ in workers] == [2, 2]
    assert [[name for name, _ in calls] for _, calls in workers] == [["find", "find"], ["find_by_reference"]]
    assert (row["name"], row["width"], row["height"]) == ("coffee.jpg", 600, 400)
    assert (row["ratio"], row["cpu_ratio"], row["matched"]) == (10, 12, 0.5)
    assert row["ours"] == {"masks": 2, "seconds": 2.0, "cpu_seconds": 3.0, "peak_memory_mb": 700.0}
    assert (row["reference"]["masks"], row["fast"]["recall"]) == (4, 0.5)
    json.dumps(row)


def test_ours_can_be_alone(workers):
    rows = list(compare(TARGET, [PHOTO, PHOTO], 8))
    assert [set(row) for row in rows] == [{"name", "width", "height", "ours"}] * 2
    assert workers[1][1] == []


def test_both_generators_run(monkeypatch):
    monkeypatch.setattr("tests.cli.disc.RADII", (200.0,) * 4)  # large enough to be stable
    monkeypatch.setattr(side_by_side, "opened", lambda target: predictor())
    ours = find(TARGET, PHOTO, 2)
    assert ours.codes
    assert ours.seconds > 0
    monkeypatch.setattr(side_by_side, "_module", lambda reference: tiny_model())
    theirs = find_by_reference(Reference("tiny", PHOTO), PHOTO, 1)
    assert theirs.cpu_seconds > 0


def test_the_reference_has_the_models_own_weights(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"name": "mobile-sam"}))
    assert reference_of(str(tmp_path), PHOTO) == Reference("mobile-sam", PHOTO)
    assert reference_of("efficientvit_sam_b0", PHOTO).model == "efficientvit-sam-b0"
    with pytest.raises(WeightsError, match="efficientvit-sam-b0"):
        reference_of("efficientvit-sam-b0")
