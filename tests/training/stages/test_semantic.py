"""The stage `semantic`: the loss of pixels, what is ignored, resuming exactly, and that a loss falls."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from tests.data.class_sets import write_maps
from tests.training.joined import run_joined
from tests.training.small_networks import small_network

from samlet.data.classes import IGNORED
from samlet.training.batches.sources import open_class_source
from samlet.training.class_configs import SemanticConfig
from samlet.training.runs import Run, train
from samlet.training.stages import class_students
from samlet.training.stages.class_losses import pixel_loss


def config(**changes):
    values = {"student": "efficientvit-seg-b0-cityscapes", "steps": 6, "batch_size": 4, "canvases": ((1.0, 32),)}
    return SemanticConfig(**{**values, "warmup_steps": 1, "checkpoint_every": 2, "ema_decay": 0.9, **changes})


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(class_students, "create", small_network)
    return open_class_source([write_maps(tmp_path / "set")], "class maps")


def test_ignored_pixels_cost_nothing_and_others_count_alike():
    logits = torch.tensor([[[[0.0]], [[2.0]]]])
    classes = torch.tensor([[[1, IGNORED], [IGNORED, 1]]])
    assert pixel_loss(logits, classes).item() == pytest.approx(0.126928, abs=1e-5)
    nobody = torch.full((1, 2, 2), IGNORED)
    loss = pixel_loss(logits.requires_grad_(), nobody)
    loss.backward()
    assert loss.item() == 0.0
    assert not logits.grad.any()


def test_a_segmenter_learns_colors(tmp_path, data):
    losses = []
    settings = config(steps=10, learning_rate=3e-2, color=0.0, scales=(1.0, 1.0), validation_images=1)
    train(settings, Run(tmp_path / "run", progress=lambda _, values: losses.append(values)), data=data)
    assert losses[-1]["pixels"] < losses[0]["pixels"] / 1.5
    assert losses[-1]["validation"] > 0


PROGRAM = """
import sys
from pathlib import Path
from samlet.training.batches.sources import open_class_source
from samlet.training.loop.processes import joined
from samlet.training.runs import Run, train
from samlet.training.stages import class_students
from tests.training.small_networks import small_network
from tests.training.stages.test_semantic import config

class_students.create = small_network
with joined():
    data = open_class_source([Path(sys.argv[1])], "class maps")
    train(config(batch_norm="synced", ema_decay=0.0), Run(Path(sys.argv[2])), data=data)
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path, data):
    one = load_file(train(config(batch_norm="synced", ema_decay=0.0), Run(tmp_path / "one"), data=data))
    run_joined(PROGRAM, 2, tmp_path / "set", tmp_path / "two")
    two = load_file(tmp_path / "two" / "student.safetensors")
    assert all(torch.allclose(value, two[name], atol=1e-4) for name, value in one.items())


def test_a_run_that_is_stopped_goes_on_as_if_it_had_not_been(tmp_path, data):
    def stop(step, _):
        if step == 3:
            raise ZeroDivisionError

    whole = load_file(train(config(), Run(tmp_path / "whole"), data=data))
    with pytest.raises(ZeroDivisionError):
        train(config(), Run(tmp_path / "cut", progress=stop), data=data)
    resumed = load_file(train(config(), Run(tmp_path / "cut", resume=True), data=data))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
