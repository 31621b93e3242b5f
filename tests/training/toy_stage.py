"""A stage so small that a run takes milliseconds: a linear map learns to double its input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from samlet.training.batches.feed import Batches
from samlet.training.batches.order import Batch, Readable, positions_of
from samlet.training.batches.views import generator
from samlet.training.config import DistillEncoderConfig, FinetuneConfig


@dataclass(frozen=True)
class Rows(Batch):
    values: torch.Tensor


class Doubling(nn.Module):
    """One linear layer; the batch norm gives it a state that is not a parameter, noise needs torch's generator."""

    def __init__(self, noise: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.norm = nn.BatchNorm1d(4)
        self.linear = nn.Linear(4, 4)
        self.noise = noise

    def ordered_blocks(self):
        return [self.linear]

    def forward(self, batch):
        values = batch.values + self.noise * torch.randn_like(batch.values)
        return {"mse": (self.linear(self.norm(values)) - 2 * batch.values).square().mean()}


def config(kind=FinetuneConfig, **changes):
    values = {"student": "toy", "steps": 12, "checkpoint_every": 4, "warmup_steps": 2, "batch_size": 8}
    return kind(**{**values, **changes})


def toy_config(**changes):
    """Of a stage whose batch norms learn."""
    return config(DistillEncoderConfig, **changes)


def row(position):
    return generator(0, "row", position).normal(size=4)


class RowBatches(Batches):
    """At step `bad` a batch that is not a number."""

    def __init__(self, settings, bad=None):
        super().__init__(settings, Readable([]))
        self.bad = bad

    def at(self, step, part=0):
        positions = positions_of(self.config, step, part)
        values = torch.from_numpy(np.stack([row(position) for position in positions])).float()
        return Rows(tuple(f"image{p}" for p in positions), values * float("nan") if step == self.bad else values)


def stream(settings, bad=None):
    """The batches of a config as `Trainer.run` wants them."""
    return RowBatches(settings, bad).stream
