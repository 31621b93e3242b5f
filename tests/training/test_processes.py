"""Two processes with half of every batch each give the losses of one process with the whole batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.training.toy_stage import Doubling

from samlet.training.checkpoint import CHECKPOINT, LOG
from samlet.training.processes import count, is_first, rank, spread

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from pathlib import Path
import torch
from torch import nn
from samlet.training.batches import share
from samlet.training.processes import joined
from samlet.training.trainer import Trainer
from samlet.training.views import generator
from tests.training.toy_stage import config

class Tripling(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.linear = nn.Linear(4, 4)
    def forward(self, batch):
        return {"mse": (self.linear(batch) - 3 * batch).square().mean()}

def stream(first, settings):
    for step in range(first, settings.steps):
        rows = [generator(0, "row", position).normal(size=4) for position in share(settings, step)]
        yield torch.tensor(rows, dtype=torch.float32)

with joined():
    settings = config(steps=12, checkpoint_every=12)
    trainer = Trainer(Tripling(), settings, Path(sys.argv[1]))
    trainer.run(lambda first: stream(first, settings))
"""


def train_in(tmp_path, processes):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    folder = tmp_path / f"run{processes}"
    launcher = [sys.executable, str(program)]
    if processes > 1:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        launcher = [*torchrun, str(program)]
    # The program imports from tests/, which only pytest has on its path.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([*launcher, str(folder)], check=True, capture_output=True, timeout=300, env=environment)
    return torch.load(folder / CHECKPOINT, weights_only=True)["stage"], (folder / LOG).read_text()


@pytest.mark.slow
def test_two_processes_train_the_weights_of_one(tmp_path):
    one, _ = train_in(tmp_path, 1)
    two, log = train_in(tmp_path, 2)
    for name, value in one.items():
        assert (value - two[name]).abs().max() < 1e-5
    assert [json.loads(line)["step"] for line in log.splitlines()] == [10, 12]  # one process writes, not both


def test_a_process_alone_is_the_first_of_one():
    assert (rank(), count(), is_first()) == (0, 1, True)
    stage = Doubling()
    assert spread(stage) is stage
