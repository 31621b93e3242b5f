"""Encoders are timed by turns: each once a round, after a run that does not count."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "by_turns.py"


def test_each_round_runs_all_twice_and_counts_the_second() -> None:
    script, seen = runpy.run_path(str(SCRIPT)), []
    seconds = script["take_turns"]({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, 3)
    assert seen == ["a", "a", "b", "b"] * 3
    assert [len(each) for each in seconds.values()] == [3, 3]


def test_the_default_model_against_itself(capsys) -> None:
    runpy.run_path(str(SCRIPT))["by_turns"]("efficientvit-sam-b0", rounds=1)
    *table, line = capsys.readouterr().out.splitlines()
    assert "1.00×" in table[-1]
    assert json.loads(line)["encoders"]["efficientvit-sam-b0/onnx"]["median_ms"] > 1
