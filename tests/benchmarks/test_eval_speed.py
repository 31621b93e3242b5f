"""All ways that the benchmark times are the same measurement."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from tests.evaluation.fake import annotation, predictor, sample

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "eval_speed.py"


def test_all_ways_find_the_same() -> None:
    model = predictor()
    samples = [sample(annotation(20, 30, 60, 90), annotation(5, 5, 99, 80, number=2)), sample(annotation(1, 2, 30, 40))]
    result = runpy.run_path(str(SCRIPT))["time_all"](model, samples)
    ways = result["ways"]
    assert [way["miou"] for way in ways.values()] == [1.0] * 3
    assert (result["images"], result["masks_per_image"]) == (2, 1.5)
    assert model.backend.encoded == (1 + 2) + (1 + 2) + (
        1 + 3
    )  # one image more each; then once a photo, or once a mask
    assert ways["batched"]["times_faster"] == 1
    slowest = ways["a call and an embedding per mask"]
    assert slowest["times_faster"] == pytest.approx(slowest["seconds_per_image"] / ways["batched"]["seconds_per_image"])
