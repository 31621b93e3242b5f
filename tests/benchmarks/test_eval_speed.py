"""Both ways that the benchmark times are the same measurement."""

from __future__ import annotations

import runpy
from pathlib import Path

from tests.evaluation.fake import annotation, predictor, sample

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "eval_speed.py"


def test_both_ways_find_the_same() -> None:
    model = predictor()
    samples = [sample(annotation(20, 30, 60, 90), annotation(5, 5, 99, 80, number=2)), sample(annotation(1, 2, 30, 40))]
    result = runpy.run_path(str(SCRIPT))["time_both"](model, samples)
    assert result["batched"]["miou"] == result["single"]["miou"] == 1.0
    assert (result["images"], result["masks_per_image"]) == (2, 1.5)
    assert model.backend.encoded == (1 + 2) + (2 + 3)  # the first image once more each; then once a photo, once a mask
