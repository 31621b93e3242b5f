"""`samlet bench`: the table and the JSON line say the same, ratios are right, bad input is one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.cli.disc import predictor

from samlet.benchmarking import processes, side_by_side, steps, target
from samlet.benchmarking.side_by_side import Found
from samlet.benchmarking.steps import Measurement
from samlet.benchmarking.timing import Figure
from samlet.errors import BackendError, MissingExtraError
from samlet.geometry.rle import encode

FAST, SLOW = "mobile-sam-slim/openvino/float32", "mobile-sam-slim/onnx/float32"


class HereAndNow:
    """A worker that is this process."""

    def __init__(self, threads):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def call(self, function, *arguments, **options):
        return function(*arguments, **options)


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch):
    monkeypatch.setattr(processes, "Worker", HereAndNow)
    monkeypatch.setattr(side_by_side, "Worker", HereAndNow)
    monkeypatch.setattr(target, "precision_of", lambda folder: "float32")


@pytest.fixture
def measured(monkeypatch):
    """Made-up measurements: OpenVINO twice as fast as ONNX Runtime, torch not installed, no bfloat16."""

    def measure(asked, plan):
        if asked.backend == "torch":
            raise MissingExtraError("torch", "The torch backend")
        if asked.precision == "bfloat16":
            raise BackendError("This CPU cannot compute in bfloat16: use float32.")
        slow = asked.backend == "onnx"
        figures = {
            "encode": Figure("ms", (40, 42, 50) if slow else (20, 21, 22)),
            "throughput, 8 at once": Figure("images/s", (25.0,) if slow else (75.0,)),
        }
        return Measurement(asked.model, "abc", figures)

    monkeypatch.setattr(steps, "measure", measure)
    monkeypatch.setattr(steps, "cold_start", lambda asked, plan: Figure("s", (1.5,)))


def test_the_table_fits_and_says_how_busy_the_machine_is(samlet, measured):
    code, out, _ = samlet("bench", "--baseline", SLOW)
    assert code == 0
    model, backend, precision, encode, *_, load = out.splitlines()
    assert (model.split(), backend.split()) == (["mobile-sam-slim"] * 2, ["onnx", "openvino"])
    assert precision.split() == ["float32"] * 2
    assert encode.split() == ["encode", "(ms)", "42.0", "(40.0–50.0)", "1.00×", "21.0", "(20.0–22.0)", "2.00×"]
    assert "75.0 (75.0–75.0) 3.00×" in out
    assert load.startswith("load average ")
    assert max(map(len, out.splitlines()[:-1])) <= 100
    assert "{" not in out


def test_many_targets_are_tables_below_each_other(samlet, measured, tmp_path):
    folders = [tmp_path / f"a-folder-with-a-long-name-{number}" for number in range(6)]
    for folder in folders:
        folder.mkdir()
    _, out, _ = samlet("bench", *folders, "--backends", "onnx", "--what", "encode")
    assert max(map(len, out.splitlines()[:-1])) <= 100
    assert all(out.count(folder.name) == 1 for folder in folders)
    assert out.count("encode (ms)") > 1


def test_targets_take_turns(samlet, measured, monkeypatch):
    seen, measure = [], steps.measure

    def watched(asked, plan):
        seen.append((asked.backend, plan.repeats))
        return measure(asked, plan)

    monkeypatch.setattr(steps, "measure", watched)
    samlet("bench", "--backends", "onnx,openvino", "--precisions", "float32", "--what", "encode", "--repeats", 7)
    assert seen == [("onnx", 3), ("openvino", 3)] * 3


def test_a_file_of_figures_is_replaced_and_another_is_not(samlet, refused, measured, tmp_path):
    assert [samlet("bench", "--output", tmp_path / "bench.json")[0] for _ in range(2)] == [0, 0]
    (tmp_path / "theirs.json").write_text("{}")
    assert "was not written by samlet" in refused("bench", "--output", tmp_path / "theirs.json")
    assert (tmp_path / "theirs.json").read_text() == "{}"


def test_json(samlet, measured, tmp_path):
    file = tmp_path / "new" / "bench.json"
    code, line, err = samlet("bench", "--baseline", SLOW, "--json", "--output", file, "--threads", 2)
    assert code == 0
    record = json.loads(line)
    assert file.read_text() == line
    assert (record["baseline"], record["threads"], record["photo"]["name"]) == (SLOW, 2, "coffee.jpg")
    assert {"command", "machine", "versions", "targets", "left_out"} <= set(record)
    slow, fast = record["targets"]
    assert (slow["name"], fast["backend"], fast["weights_sha256"]) == (SLOW, "openvino", "abc")
    assert fast["figures"]["encode"]["times_better"] == 2
    assert fast["figures"]["throughput, 8 at once"] == {
        "unit": "images/s", "median": 75, "p10": 75, "p90": 75, "runs": 3, "times_better": 3
    }  # fmt: skip
    assert fast["figures"]["cold start"]["median"] == 1.5
    assert record["left_out"] == {
        "mobile-sam-slim/openvino/bfloat16": "This CPU cannot compute in bfloat16: use float32.",
        "mobile-sam-slim/torch/float32": str(MissingExtraError("torch", "The torch backend")),
    }
    assert err.count("left out: ") == 2


def test_a_precision_that_was_not_asked_for_is_passed_over(samlet, measured):
    code, out, _ = samlet("bench", "--backends", "openvino", "--what", "encode", "--json")
    assert code == 0
    record = json.loads(out)
    assert [target["name"] for target in record["targets"]] == [FAST]
    assert list(record["left_out"]) == ["mobile-sam-slim/openvino/bfloat16"]


def test_without_a_baseline_there_are_no_ratios(samlet, measured):
    _, out, _ = samlet("bench", "--what", "encode", "--json")
    assert "×" not in samlet("bench", "--what", "encode")[1]
    assert "cold start" not in out
    assert "times_better" not in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--backends", "abacus"], 'no backend "abacus"'),
        (
            ["--what", "encode,sing"],
            '"sing": --what takes encode, decode, click, first-answer, everything, throughput, cold-start',
        ),
        (["--precisions", "int4"], "runs in int4"),
        (["--baseline", "hare"], 'baseline "hare" is not timed: choose one of ' + SLOW),
        (["no-such-model"], "no-such-model"),
        (["--image", "gone.jpg"], "gone.jpg"),
        (["--repeats", "0"], "--repeats"),
        (["--repeats", "1000000"], "--repeats"),
        (["--threads", "0"], "--threads"),
        (["--threads", "two"], "--threads"),
        (["--points-per-side", "1000"], "--points-per-side"),
        (["--output", "."], "it is a folder"),
        (["everything", "--points-per-side", "0"], "--points-per-side"),
        (["--backends", "torch"], 'pip install "samlet[torch]"'),  # asked for, so not passed over
        (["--backends", "openvino", "--precisions", "bfloat16"], "cannot compute in bfloat16"),
        (["--checkpoint", "a.pt", "--backends", "onnx"], "a.pt is for torch"),
        (["everything", "--checkpoint", "a.pt", "--backend", "onnx"], "a.pt is for torch"),
        (["everything", "--reference"], "for torch give --checkpoint"),
        (["everything", "--backend", "abacus"], '"abacus" for --backend. Choose from: "auto", "onnx"'),
        (["everything", "gone.jpg", "--backend", "onnx"], "gone.jpg"),
    ],
)
def test_bad_input(refused, measured, words, says):
    assert says in refused("bench", *words)


def test_a_baseline_that_does_not_run_here_is_an_error(samlet, measured):
    code, out, err = samlet("bench", "--baseline", "mobile-sam-slim/torch/float32")
    assert (code, out) == (2, "")
    assert "does not run here" in err


def test_nothing_runs(samlet, measured):
    code, out, err = samlet("bench", "mobile-sam")
    assert (code, out) == (2, "")
    assert "Nothing could be timed" in err
    assert "samlet[torch]" in err


def test_a_real_measurement_of_a_backend_without_a_network(samlet, monkeypatch):
    disc = predictor()
    monkeypatch.setattr(steps, "opened", lambda asked: disc)
    code, out, _ = samlet("bench", "--backends", "onnx", "--what", "encode,click", "--repeats", "2", "--json")
    assert code == 0
    [only] = json.loads(out)["targets"]
    assert (only["name"], only["model"]) == (SLOW, "disc")
    assert only["figures"]["first click"]["runs"] == 2
    assert len(only["weights_sha256"]) == 64


def test_everything_beside_the_reference(samlet, monkeypatch, photo):
    code_of_a_mask = encode(np.eye(8, dtype=bool))
    answers = {"find": Found([], 2.0, 2.0, 500.0), "find_by_reference": Found([code_of_a_mask], 20.0, 30.0, None)}
    for name, found in answers.items():
        monkeypatch.setattr(side_by_side, name, lambda *asked, found=found, **_: found)
    options = ("--reference", "--checkpoint", "a.pt", "--backend", "onnx", "--fast", "--points-per-side", 4)
    code, out, _ = samlet("bench", "everything", photo, *options)
    assert code == 0
    heading, row, _ = out.splitlines()
    assert row.split()[:4] == ["photo.jpg", "256", "x", "192"]
    assert "10.00×" in row
    assert "15.00×" in row
    assert "reference (MB)" in heading
    record = json.loads(samlet("bench", "everything", photo, *options, "--json")[1])
    assert (record["target"], record["median_ratio"], record["points_per_side"]) == (SLOW, 10, 4)
    assert record["photos"][0]["matched"] == 0
    assert record["photos"][0]["fast"]["recall"] is None  # nothing was there to be found
    assert " 0.0% " in row


def test_everything_of_several_photos_has_a_total(samlet, monkeypatch, photo):
    monkeypatch.setattr(side_by_side, "find", lambda *asked: Found([], 2.0, 2.0, 500.0))
    words = ("bench", "everything", photo, photo, "--backend", "onnx")
    assert samlet(*words)[1].splitlines()[-2].split()[:2] == ["all", "4.00"]
    assert json.loads(samlet(*words, "--json")[1])["total"]["ours"]["seconds"] == 4


def test_everything_alone(samlet, monkeypatch, photo):
    monkeypatch.setattr(side_by_side, "find", lambda *asked: Found([], 2.0, 2.0, 500.0))
    _, out, _ = samlet("bench", "everything", photo, "--backend", "onnx")
    assert "reference" not in out.splitlines()[0]
    assert json.loads(samlet("bench", "everything", photo, "--backend", "onnx", "--json")[1])["median_ratio"] is None
