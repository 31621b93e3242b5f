"""The order of the default model's stages, and what is kept of one, without training any."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.training.finished_stage import finish

from samlet.errors import TrainingError
from samlet.training.program import NAMES, START, begin, enter, keep, next_stage


def test_stages_follow_one_another_and_end(tmp_path):
    start = tmp_path / START
    for name in NAMES:
        stage = next_stage(tmp_path)
        if stage.mean_of:
            start = tmp_path / f"{name}-{START}"
        assert (stage.name, stage.checkpoint) == (name, start)
        assert next_stage(tmp_path) == stage  # stopped: the same again
        finish(stage)
        start = stage.student
    with pytest.raises(TrainingError, match="are done"):
        next_stage(tmp_path)


def test_of_a_stage_stay_half_precision_weights_and_a_row(tmp_path):
    stage = next_stage(tmp_path)
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


def test_a_stage_may_begin_with_the_mean_of_others(tmp_path):
    for number in range(len(NAMES)):
        stage = next_stage(tmp_path)
        if stage.mean_of:
            break
        finish(stage)
        save_file({"weight": torch.full((2,), float(number))}, stage.student)
    begin(stage, tmp_path / "teacher.safetensors", [])
    assert load_file(stage.checkpoint)["weight"].tolist() == pytest.approx([4 / 3] * 2)  # of 1, 1 and 2
