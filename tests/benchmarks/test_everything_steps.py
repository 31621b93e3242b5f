"""Every step of everything mode is timed, apart from what it calls."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from samlet.benchmarking.steps import PHOTO

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "everything_steps.py"


@pytest.mark.slow
def test_the_steps_are_all_there(capsys):
    runpy.run_path(str(SCRIPT))["main"](PHOTO, points_per_side=2, rounds=1)
    out = capsys.readouterr().out
    facts = json.loads(out.splitlines()[-1])
    assert {"encode", "decode: predicted IoU", "upscale what passes it", "stability", "all else"} <= set(facts["cpu_s"])
    assert facts["clicks"] == 4
    assert 0 < facts["floor_s"] < sum(facts["cpu_s"].values())
    assert all(sum(shares.values()) == pytest.approx(1, abs=0.01) for shares in facts["operators"].values())
