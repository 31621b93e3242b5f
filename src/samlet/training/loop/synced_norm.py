"""A batch norm over the images of all processes, on any device: torch's own `SyncBatchNorm` runs on CUDA only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from samlet.training.loop.processes import count


class _MeanOfAll(torch.autograd.Function):
    """The mean of a tensor over the processes. Its gradient is the mean of their gradients."""

    @staticmethod
    def forward(_ctx: Any, value: Tensor) -> Tensor:
        return _mean(value)

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _mean(gradient)


class SyncedBatchNorm(_BatchNorm):
    """Normalizes [N, C, ...] over the images of all processes, each of which must bring equally many of one size.

    Alone it computes what torch's batch norm computes, in float32.
    """

    @classmethod
    def of(cls, norm: _BatchNorm) -> SyncedBatchNorm:
        """The same norm, with the same parameters and running statistics, synced."""
        synced = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        synced.train(norm.training)
        synced._parameters, synced._buffers = norm._parameters, norm._buffers
        return synced

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name torch gives it
        """[N, C, ...] -> same. In training mode all processes must call it."""
        if not self.training:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        x = input.float()
        others = [0, *range(2, x.ndim)]
        mean: Tensor = _MeanOfAll.apply(x.mean(dim=others))  # pyright: ignore[reportAssignmentType] - torch's stub
        centered = x - _per_channel(mean, x)
        variance: Tensor = _MeanOfAll.apply(centered.square().mean(dim=others))  # pyright: ignore[reportAssignmentType]
        self._remember(mean.detach(), variance.detach(), count() * x.numel() // x.shape[1])
        result = centered * _per_channel((variance + self.eps).rsqrt(), x)
        if self.affine:
            result = result * _per_channel(self.weight, x) + _per_channel(self.bias, x)
        return result.to(input.dtype)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        """Any number of dimensions is fine."""

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, seen: int) -> None:
        """Move the running statistics towards those of a batch, `seen` numbers a channel, as torch does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (seen / max(seen - 1, 1)), share)


def sync_norms(module: nn.Module) -> None:
    """Replace every batch norm inside a module by a synced one, in place; names and state stay."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, SyncedBatchNorm.of(child))
        else:
            sync_norms(child)


def _per_channel(values: Tensor, like: Tensor) -> Tensor:
    return values.view(1, -1, *[1] * (like.ndim - 2))


def _mean(value: Tensor) -> Tensor:
    if count() == 1:
        return value
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total / count()
