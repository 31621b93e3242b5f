"""Two processes with half of every batch each give the losses of one process with the whole batch."""

from __future__ import annotations

import pytest
import torch
from tests.training.joined import logged, run_joined
from tests.training.toy_stage import Doubling, config, stream

from samlet.training.loop.checkpoint import CHECKPOINT
from samlet.training.loop.processes import count, in_parallel, is_first, rank
from samlet.training.loop.trainer import Trainer

SETTINGS = {"steps": 30, "checkpoint_every": 10, "learning_rate": 0.05, "clip_norm": 0.1}

PROGRAM = f"""
import sys
from contextlib import suppress
from pathlib import Path
from samlet.training.loop.processes import joined
from samlet.training.loop.trainer import Trainer
from tests.training.toy_stage import Doubling, config, stream

def stop(step, values):
    if settings.fsdp and step == 20:
        raise ZeroDivisionError

with joined():
    for folder, fsdp in zip(sys.argv[1:], (False, True), strict=True):
        settings = config(**{SETTINGS}, grad_accum_steps=2, fsdp=fsdp)
        with suppress(ZeroDivisionError):
            Trainer(Doubling(), settings, Path(folder)).run(stream(settings), stop)
"""


def test_two_processes_give_the_losses_and_the_weights_of_one(tmp_path):
    """Each with the whole model; and each with a part of it, which after two thirds one process takes over whole."""
    settings = config(**SETTINGS)
    one, two, parts = (tmp_path / name for name in ("one", "two", "parts"))
    Trainer(Doubling(), settings, one).run(stream(settings))
    run_joined(PROGRAM, 2, two, parts)
    assert logged(two, "step") == [(10,), (20,), (30,)]  # one process writes, not both
    assert logged(parts, "step") == [(10,), (20,)]
    Trainer(Doubling(), settings, parts, resume=True).run(stream(settings))
    wanted = torch.load(one / CHECKPOINT, weights_only=True)
    for folder in (two, parts):
        for name in ("loss", "grad_norm"):
            assert sum(logged(folder, name), ()) == pytest.approx(sum(logged(one, name), ()), rel=1e-5)
        found = torch.load(folder / CHECKPOINT, weights_only=True)
        for held in ("stage", "ema"):
            for name, value in wanted[held].items():
                assert torch.allclose(value, found[held][name], atol=1e-5), (folder, held, name)


def test_a_process_alone_is_the_first_of_one():
    assert (rank(), count(), is_first()) == (0, 1, True)
    stage = Doubling()
    assert in_parallel(stage) is stage
