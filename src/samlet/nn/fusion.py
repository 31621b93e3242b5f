"""Fusion: what training needs and inference does not becomes plain convolutions that compute the same.

Batch norms with fixed statistics are linear, and so are parallel branches of convolutions. A module that has such
branches says with `fused` what replaces it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol, runtime_checkable

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


@runtime_checkable
class Fusible(Protocol):
    """A module with branches that exist for training only."""

    def fused(self) -> nn.Module:
        """A module that computes in one branch what this one computes in eval mode; this one stays as it is."""
        ...


def fuse(module: nn.Module) -> None:
    """Replace, in place, every `Fusible` inside `module`, and every batch norm that follows a convolution.

    For modules in eval mode. Equal to the original up to rounding; names of parameters change, and training goes on
    without the batch norms.
    """
    for name, child in list(module.named_children()):
        if isinstance(child, Fusible):
            module.set_submodule(name, child.fused())
        else:
            fuse(child)
    if isinstance(module, nn.Sequential):
        _fold_batch_norms(module)


def _fold_batch_norms(sequence: nn.Sequential) -> None:
    for (name, child), (next_name, following) in pairwise(list(sequence.named_children())):
        # exactly these: a subclass may compute more, as timm's norms that are activations too
        if type(child) is nn.Conv2d and type(following) is nn.BatchNorm2d:
            sequence.set_submodule(name, fuse_conv_bn_eval(child, following))
            sequence.set_submodule(next_name, nn.Identity())
