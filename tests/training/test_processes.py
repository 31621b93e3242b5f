"""Two processes with half of every batch each give the losses of one process with the whole batch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.training.toy_stage import Doubling, config, stream

from samlet.training.checkpoint import CHECKPOINT, LOG
from samlet.training.processes import count, is_first, rank, spread
from samlet.training.trainer import Trainer

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from pathlib import Path
from samlet.training.processes import joined
from samlet.training.trainer import Trainer
from tests.training.toy_stage import Doubling, config, stream

with joined():
    settings = config(steps=30, checkpoint_every=30, accumulate=2, learning_rate=0.05)
    Trainer(Doubling(), settings, Path(sys.argv[1])).run(stream(settings))
"""


def train_in(folder, processes):
    """Train in processes of their own, joined as `torchrun` joins them; the weights and the log's losses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    # The program imports from tests/, which only pytest has on its path.
    common = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "WORLD_SIZE": str(processes)}
    common.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port, OMP_NUM_THREADS="1")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder)],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    said = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0] * processes, said
    rows = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return torch.load(folder / CHECKPOINT, weights_only=True)["stage"], [(row["step"], row["loss"]) for row in rows]


def test_two_processes_give_the_losses_and_the_weights_of_one(tmp_path):
    settings = config(steps=30, checkpoint_every=30, learning_rate=0.05)
    alone = Trainer(Doubling(), settings, tmp_path / "one")
    alone.run(stream(settings))
    one = torch.load(tmp_path / "one" / CHECKPOINT, weights_only=True)["stage"]
    rows = [json.loads(line) for line in (tmp_path / "one" / LOG).read_text().splitlines()]
    two, losses = train_in(tmp_path / "two", 2)
    assert [step for step, _ in losses] == [10, 20, 30]  # one process writes, not both
    assert [loss for _, loss in losses] == pytest.approx([row["loss"] for row in rows], rel=1e-5)
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=1e-5), name


def test_a_process_alone_is_the_first_of_one():
    assert (rank(), count(), is_first()) == (0, 1, True)
    stage = Doubling()
    assert spread(stage) is stage
