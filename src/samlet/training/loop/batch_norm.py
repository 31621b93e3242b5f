"""What batch norms do while a stage trains.

- `synced`: the statistics of all processes' images; alone, the same as `per-process`.
- `per-process`: each process normalizes with the statistics of its own images; the running ones of the first are kept.
- `frozen`: the running statistics, which stay as they are. For few images a step.
- `re-estimated`: as `synced`; at the end the running statistics are computed anew for the averaged weights, which none
  of the running ones belong to.

Where norms learn, a step in parts is not quite the step as a whole: each part is normalized with its own statistics,
and the running ones move once a part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from samlet.training.config import BatchNorm
from samlet.training.loop.processes import count
from samlet.training.loop.synced_norm import sync_norms

SYNCED: tuple[BatchNorm, ...] = ("synced", "re-estimated")

T = TypeVar("T")


def sync_statistics(stage: nn.Module, mode: BatchNorm, device: torch.device) -> None:
    """Make the norms look at all processes' images, if `mode` asks for it and there are several; elsewhere nothing."""
    if mode not in SYNCED or count() == 1:
        return
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(stage)  # torch's own, in one kernel, which no other device has
    else:
        sync_norms(stage)


def set_training(stage: nn.Module, mode: BatchNorm) -> None:
    """Put the stage into training mode, and its batch norms into the mode's; those of frozen parts stay frozen."""
    stage.train()
    learning = set() if mode == "frozen" else set(learning_norms(stage))
    for module in stage.modules():
        if isinstance(module, _BatchNorm) and module not in learning:
            module.eval()


@torch.no_grad()
def re_estimate(stage: nn.Module, batches: Iterable[T], call: Callable[[T], object]) -> None:
    """Replace the running statistics by their mean over `batches`, each given to `call`, which runs the stage."""
    norms = learning_norms(stage)
    momenta = [norm.momentum for norm in norms]
    stage.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches
        norm.train()
    for batch in batches:
        call(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    stage.eval()


def learning_norms(stage: nn.Module) -> list[_BatchNorm]:
    """The batch norms of a stage, of any dimension, whose weights learn."""
    norms = [module for module in stage.modules() if isinstance(module, _BatchNorm)]
    return [norm for norm in norms if norm.weight is not None and norm.weight.requires_grad]
