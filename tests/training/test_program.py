"""The order of the default model's stages, and what is kept of one, without training any."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from tests.training.finished_stage import finish

from samlet.errors import TrainingError
from samlet.training import program
from samlet.training.program import NAMES, enter, keep, next_stage


def test_stages_follow_one_another_and_end(tmp_path, monkeypatch):
    widened = []

    def widen(checkpoint, narrow, wide, output):
        widened.append((checkpoint, narrow, wide))
        return output

    monkeypatch.setattr(program, "widen", widen)
    start = tmp_path / "weights" / "efficientvit-sam-b0.safetensors"
    for name in NAMES:
        stage = next_stage(tmp_path, tmp_path / "weights")
        wider = name == "efficientvit_sam_b1_stage1"
        assert (stage.name, stage.checkpoint) == (name, tmp_path / f"{name}-start.safetensors" if wider else start)
        assert next_stage(tmp_path, tmp_path / "weights") == stage  # stopped: the same again
        finish(stage)
        start = stage.student
    b0 = tmp_path / "efficientvit_sam_b0_stage10" / "student.safetensors"
    assert set(widened) == {(b0, "efficientvit-sam-b0", "efficientvit-sam-b1")}
    with pytest.raises(TrainingError, match="are done"):
        next_stage(tmp_path, tmp_path / "weights")


def test_of_a_stage_stay_half_precision_weights_and_a_row(tmp_path):
    stage = next_stage(tmp_path, tmp_path)
    config = finish(stage)
    kept = load_file(keep(stage, tmp_path / "weights"))
    assert kept["weight"].dtype == torch.float16
    assert kept["count"] == 3
    ledger = tmp_path / "docs" / "ledger.md"
    views, hours = f"{config.steps * config.batch_size:,}", f"{config.steps / 100:.1f}"
    assert enter(stage, ledger, {"box": 0.7123}).endswith(f"| {views} | {hours} | 2.500 | 71.2 | – |")
    enter(stage, ledger, {})
    lines = ledger.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert [line.startswith(f"| {stage.name} |") for line in lines[-3:]] == [False, True, True]
