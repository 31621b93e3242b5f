"""A stage so small that a run takes milliseconds: a linear map learns to double its input."""

from __future__ import annotations

import torch
from torch import nn

from samlet.training.config import FinetuneConfig
from samlet.training.views import generator


class Doubling(nn.Module):
    """One linear layer; the batch norm gives it a state that is not a parameter."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.norm = nn.BatchNorm1d(4)
        self.linear = nn.Linear(4, 4)

    def forward(self, batch):
        return {"mse": (self.linear(self.norm(batch)) - 2 * batch).square().mean()}


def config(kind=FinetuneConfig, **changes):
    values = {"student": "toy", "steps": 12, "checkpoint_every": 4, "warmup_steps": 2, "batch_size": 8}
    return kind(**{**values, **changes})


def stream(first, end=12, bad=None):
    """Batches by step; at step `bad` one that is not a number."""
    for step in range(first, end):
        batch = torch.from_numpy(generator(0, "toy", step).normal(size=(8, 4))).float()
        yield batch * float("nan") if step == bad else batch
