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
from samlet.training import sharding
from samlet.training.checkpoint import CHECKPOINT, STUDENT
from samlet.training.trainer import Trainer

VIT = """
import json, sys
from pathlib import Path
from samlet.training.processes import joined
from tests.training.vit_stage import train

folder, changes, stop_at, resume = sys.argv[1:]
with joined():
    train(Path(folder), json.loads(changes), int(stop_at), bool(int(resume)))
"""


def checkpoint_of(folder):
    return torch.load(folder / CHECKPOINT, weights_only=True)


def assert_close(state, other, tolerance):
    assert set(state) == set(other)
    for name, value in state.items():
        assert torch.allclose(value.float(), other[name].float(), atol=tolerance), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [({}, 1e-4), ({"lora": 4}, 1e-4), ({"frozen": ["image_encoder"]}, 1e-4), ({"precision": "bf16"}, 2e-2)],
)
def test_a_segmenter_in_parts_is_the_one_that_is_trained_whole(tmp_path, changes, tolerance):
    """With validation, shown masks, clipping and accumulation; once in parts, once from parts to one and back."""
    vit_stage.train(tmp_path / "one", changes)
    parts = json.dumps({**changes, "sharded": True})
    run_joined(VIT, 2, tmp_path / "parts", parts, 0, 0)
    run_joined(VIT, 2, tmp_path / "changing", parts, 2, 0)
    vit_stage.train(tmp_path / "changing", changes, stop_at=4, resume=True)
    run_joined(VIT, 2, tmp_path / "changing", parts, 0, 1)
    one = load_file(tmp_path / "one" / STUDENT)
    for name in ("parts", "changing"):
        assert_close(one, load_file(tmp_path / name / STUDENT), tolerance)
        assert_close(checkpoint_of(tmp_path / "one")["ema"], checkpoint_of(tmp_path / name)["ema"], tolerance)
        best = checkpoint_of(tmp_path / "one")["best"]
        assert checkpoint_of(tmp_path / name)["best"] == pytest.approx(best, rel=tolerance)
    whole = json.loads((tmp_path / "one" / vit_stage.HELD.format(0)).read_text())
    for rank in range(2):
        held = json.loads((tmp_path / "parts" / vit_stage.HELD.format(rank)).read_text())
        assert all(held[what] < 0.6 * whole[what] for what in whole), (held, whole)
    # The file holds the numbers of the model, not the padding that parts of equal size need.
    assert (tmp_path / "parts" / CHECKPOINT).stat().st_size < 1.02 * (tmp_path / "one" / CHECKPOINT).stat().st_size


def test_what_cannot_be_cut_is_refused_with_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(TrainingError, match="one process cannot shard: start several with torchrun"):
        Trainer(Doubling(), config(sharded=True), tmp_path)
    stage = Doubling()
    stage.temperature = torch.nn.Parameter(torch.tensor(1.0))
    with pytest.raises(TrainingError, match="temperature is a single number"):
        sharding.shard(stage, torch.device("cpu"))
    monkeypatch.setattr(sharding, "count", lambda: 2)
    sharding.check_sharded(config(sharded=True))
    with pytest.raises(TrainingError, match="fp16.*use --precision bf16"):
        sharding.check_sharded(config(sharded=True, precision="fp16"))
