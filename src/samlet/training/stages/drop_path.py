"""Stochastic depth: in training, what a residual branch adds is dropped for some images (arXiv 1603.09382).

The chance grows in a line from the first branch to the last. It is added to a network from outside, so that networks
know nothing of it and the trained one has nothing left of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class DropPath:
    """Hooks on residual branches. `rate`: the chance of the last; of the first `exempt` ones nothing is dropped."""

    def __init__(self, branches: Sequence[nn.Module], rate: float, exempt: int = 0) -> None:
        last = max(1, len(branches) - 1)
        self.chances = [rate * i / last if i >= exempt else 0.0 for i in range(len(branches))]
        self.scale = 1.0  # of all chances; a run may let it grow
        for branch, chance in zip(branches, self.chances, strict=True):
            if chance:
                branch.register_forward_hook(self._hook(chance))

    def _hook(self, chance: float) -> Any:
        def drop(module: nn.Module, _: Any, added: Tensor) -> Tensor | None:
            if not (module.training and torch.is_grad_enabled()):
                return None
            kept = 1 - chance * self.scale
            shape = (len(added), *(1,) * (added.ndim - 1))
            return added * (torch.rand(shape, device=added.device) < kept).to(added.dtype) / kept

        return drop
