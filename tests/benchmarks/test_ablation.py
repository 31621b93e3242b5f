"""What the ablation's table says of reports, and that its student is the default on a smaller canvas."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from samlet.models.registry import get_spec

script = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "ablation.py"))


def test_a_row_for_each_report(tmp_path, capsys):
    metrics = {"miou": {"all": 0.55}, "mean_of_sources": 0.6}
    record = {"format": 1, "protocol": {"start": "box"}, "metrics": metrics}
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "report.json").write_text(json.dumps(record))
    script["ablation"](tmp_path / "whole")
    *_, row, line = capsys.readouterr().out.splitlines()
    assert row.split() == ["whole", "box", "60.0", "55.0"]
    assert json.loads(line)[0]["mean of sources"] == pytest.approx(60)


def test_the_student_differs_in_its_canvas_alone():
    spec, default = script["SPEC"], get_spec("efficientvit-sam-b0")
    assert (spec.image.canvas, spec.options, spec.builder) == (384, default.options, default.builder)
