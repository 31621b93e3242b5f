"""Which timing belongs to which report, and that a picture comes out."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from samlet.errors import InputError

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "accuracy_latency.py"
accuracy_latency = runpy.run_path(str(SCRIPT))


def target(name, weights, milliseconds):
    figure = {"unit": "ms", "median": milliseconds, "p10": milliseconds - 1, "p90": milliseconds + 2, "runs": 5}
    return {"name": name, "weights_sha256": weights, "figures": {"encode": figure}}


def report(weights, miou, samples="s"):
    metrics = {"miou": {"all": miou}}
    facts = {"protocol": {"start": "box"}, "samples_sha256": samples, "model": weights, "weights_sha256": weights}
    return {"format": 1, **facts, "metrics": metrics}


TARGETS = [target("slow/onnx", "a", 90), target("fast/onnx", "b", 20), target("slow/openvino", "a", 40)]


def test_a_timing_belongs_to_the_report_of_its_weights():
    points = accuracy_latency["join"](TARGETS, [report("a", 0.7), report("b", 0.6)], "encode")
    found = [(point["name"], point["median"], point["miou"]) for point in points]
    assert found == [("fast/onnx", 20, 0.6), ("slow/openvino", 40, 0.7), ("slow/onnx", 90, 0.7)]


@pytest.mark.parametrize(
    ("reports", "figure", "words"),
    [
        ([], "encode", "one report or more"),
        ([report("a", 0.7), report("b", 0.6, samples="other")], "encode", "same protocol and masks"),
        ([report("c", 0.7)], "encode", "weights of c"),
        ([report("a", 0.7)], "click", 'No "click"'),
    ],
)
def test_what_does_not_belong_together_is_refused(reports, figure, words):
    with pytest.raises(InputError, match=words):
        accuracy_latency["join"](TARGETS, reports, figure)


def test_the_picture(tmp_path, capsys):
    (tmp_path / "bench.json").write_text(json.dumps({"targets": TARGETS}))
    (tmp_path / "report.json").write_text(json.dumps(report("a", 0.7)))
    accuracy_latency["accuracy_latency"](tmp_path / "bench.json", tmp_path, output=tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert len(json.loads(capsys.readouterr().out.splitlines()[-1])["points"]) == 2
