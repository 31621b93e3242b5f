"""Low-rank additions to attention's projections, for data too small to move whole weights (LoRA, arXiv 2106.09685).

While a run lasts, a weight W is W + up·down with W frozen. `merge` turns the sum into the weight, so what is saved has
the official names and costs nothing extra to run.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from samlet.errors import TrainingError
from samlet.models import Sam
from samlet.nn.parts import attention_projections


class LowRank(nn.Module):
    """What is added to a weight [O, I, ...] whose last dimensions are 1: up [O, R] times down [R, I], 0 at first."""

    def __init__(self, weight: Tensor, rank: int, chance: torch.Generator) -> None:
        super().__init__()
        outputs, inputs = weight.shape[:2]
        self.down = nn.Parameter(torch.randn(rank, inputs, generator=chance) / inputs**0.5)
        self.up = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """The sum, of the weight's shape."""
        return weight + (self.up @ self.down).view_as(weight)


def add_lora(model: Sam, rank: int, parts: tuple[str, ...], seed: int) -> None:
    """Freeze the model and let additions of a rank to the attention projections of `parts` learn instead.

    Raises TrainingError if the parts have no such projection (a purely convolutional encoder).
    """
    model.requires_grad_(False)
    chance = torch.Generator().manual_seed(seed)
    found = [module for part in parts for module in attention_projections(model.get_submodule(part))]
    if not found:
        raise TrainingError(
            f"{' and '.join(parts)} of {model.spec.name} has no attention to add to: leave mask_decoder unfrozen, or "
            "train without --lora."
        )
    for module in found:
        parametrize.register_parametrization(module, "weight", LowRank(module.get_parameter("weight"), rank, chance))


def merge(model: Sam) -> None:
    """Make every sum the weight itself; a model without additions stays as it is."""
    for module in list(model.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
