"""Networks in float64: what tells rounding, which random weights magnify, from what is wrong.

float32 differs between CPUs by the order of its sums; float64 says the same on all of them, to far more digits than
official numbers have.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

LAST_DIGIT = 2.0**-24  # relative: the most that rounding to float32 changes

Module = TypeVar("Module", bound=nn.Module)


class _Depthwise(nn.Conv2d):
    """torch's own takes eight of twelve seconds of an encoder in float64."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name nn.Conv2d gives it
        (side, _), (stride, _), (pad, _) = self.kernel_size, self.stride, cast("tuple[int, int]", self.padding)
        x = F.pad(input, (pad,) * 4)
        high, wide = ((length - side) // stride + 1 for length in x.shape[2:])
        total = torch.zeros(()) if self.bias is None else self.bias[:, None, None]
        for row in range(side):
            for column in range(side):
                rows = slice(row, row + (high - 1) * stride + 1, stride)
                columns = slice(column, column + (wide - 1) * stride + 1, stride)
                total = torch.addcmul(total, x[:, :, rows, columns], self.weight[:, :1, row, column, None])
        return total


class InFloat64(nn.Module):
    """A network that computes in float64 and takes and gives float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = in_float64(network)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.double()).float()


def in_float64(network: Module) -> Module:
    """A copy that computes in float64."""
    exact = deepcopy(network).double()
    for module in exact.modules():
        if type(module) is nn.Conv2d and module.groups == module.in_channels == module.out_channels > 1:
            module.__class__ = _Depthwise
    return exact


def far(found: Tensor | NDArray[np.float32], exact: Tensor) -> float:
    """Root mean square difference, in standard deviations."""
    return float(torch.as_tensor(found).sub(exact).square().mean().sqrt() / exact.std())


def one_digit_off(network: Module) -> Module:
    """A copy in float64 whose every weight is off by up to its last digit in float32.

    How far it ends from exact is what one rounding of each weight comes to after all layers; float32 rounds each sum
    several times.
    """
    other = in_float64(network)
    generator = torch.Generator().manual_seed(0)
    for parameter in other.parameters():
        change = torch.rand(parameter.shape, dtype=torch.float64, generator=generator).mul_(2).sub_(1)
        parameter.data.mul_(1 + LAST_DIGIT * change)
    return other
