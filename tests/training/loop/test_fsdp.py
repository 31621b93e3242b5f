"""A model in parts gives the losses, the checkpoints and the student of one process that holds it whole."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from tests.training import vit_stage
from tests.training.joined import run_joined
from tests.training.toy_stage import Doubling, config

from samlet.errors import TrainingError
from samlet.training.loop import fsdp
from samlet.training.loop.checkpoint import CHECKPOINT, STUDENT
from samlet.training.loop.trainer import Trainer

PROGRAM = """
import json, sys
from pathlib import Path
from samlet.training.loop.processes import joined
from tests.training.vit_stage import train

with joined():
    for folder, changes, stop_at in json.loads(sys.argv[1]):
        train(Path(folder), changes, stop_at, resume=True)
"""


def checkpoint_of(folder):
    return torch.load(folder / CHECKPOINT, weights_only=True)


def assert_close(state, other, tolerance):
    assert set(state) == set(other)
    for name, value in state.items():
        torch.testing.assert_close(
            value, other[name], rtol=0, atol=tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


def run_two(*runs):
    """Runs of `vit_stage.train`, one after the other; what began before goes on: (folder, changes, stop_at)."""
    run_joined(PROGRAM, 2, json.dumps([(str(folder), *given) for folder, *given in runs]), tries=3)


def assert_same_run(folder, other, tolerance):
    """The same students, under the same names, and checkpoints of the same state and size."""
    assert_close(load_file(folder / STUDENT), load_file(other / STUDENT), tolerance)
    one, two = checkpoint_of(folder), checkpoint_of(other)
    assert_close(one["ema"], two["ema"], tolerance)
    assert two["best"] == pytest.approx(one["best"], rel=tolerance)
    # Parts of equal size are padded; the file is not to hold the padding.
    assert (other / CHECKPOINT).stat().st_size < 1.02 * (folder / CHECKPOINT).stat().st_size


@pytest.mark.slow
def test_a_segmenter_trained_in_parts_is_that_of_one_process_which_may_take_turns_with_them(tmp_path):
    whole, parts = {"rounds": 1}, {"rounds": 1, "fsdp": True}
    one, two, turns = (tmp_path / name for name in ("one", "two", "turns"))
    vit_stage.train(one, whole)
    run_two((two, parts, 0), (turns, parts, 1))
    vit_stage.train(turns, whole, stop_at=2, resume=True)
    run_two((turns, parts, 0))
    for folder in (two, turns):
        assert_same_run(one, folder, 2e-5)
    numbers = json.loads((one / vit_stage.HELD.format(0)).read_text())
    for rank in range(2):
        held = json.loads((two / vit_stage.HELD.format(rank)).read_text())
        assert all(held[what] < 0.51 * numbers[what] for what in numbers), (held, numbers)


@pytest.mark.slow
def test_parts_compute_what_processes_that_hold_all_of_it_compute(tmp_path):
    """To the last digits: with shown masks, whose clicks would make a difference of a digit one of a pixel."""
    cases = {"all": {}, "lora": {"lora": 4}}
    kinds = {"whole": {}, "parts": {"fsdp": True}}
    run_two(
        *((tmp_path / kind / case, cases[case] | kinds[kind] | {"steps": 3}, 0) for case in cases for kind in kinds)
    )
    for case in cases:
        assert_same_run(tmp_path / "whole" / case, tmp_path / "parts" / case, 2e-5)


def test_what_cannot_be_cut_is_refused_with_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(TrainingError, match="one process cannot shard: start several with torchrun"):
        Trainer(Doubling(), config(fsdp=True), tmp_path)
    stage = Doubling()
    stage.temperature = torch.nn.Parameter(torch.tensor(1.0))
    with pytest.raises(TrainingError, match="temperature is a single number"):
        fsdp.shard(stage, torch.device("cpu"))
    monkeypatch.setattr(fsdp, "count", lambda: 2)
    fsdp.check_fsdp(config(fsdp=True))
    with pytest.raises(TrainingError, match=r"float16.*use --precision bfloat16"):
        fsdp.check_fsdp(config(fsdp=True, precision="float16"))
