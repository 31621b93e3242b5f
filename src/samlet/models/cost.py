"""What a model costs: parameters, and multiply-accumulates of its image encoder or, without one, of the network.

The convention is that of the papers' tables: convolutions, linear layers and the two products of attention count one
per multiply-accumulate, window padding included. Norms, activations, resizing and the look-up of relative positions do
not count. On a `skeleton` nothing is computed, so counting is instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from samlet.nn.network import Network
from samlet.nn.sam import Sam


def count_parameters(module: nn.Module) -> int:
    """Every learned number of the module, those no forward pass reads included; buffers do not count."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_encoder_macs(model: Network, size_hw: tuple[int, int] | None = None) -> int:
    """Multiply-accumulates of what is done once for an image: encoder and proposals, if any, or the whole network.

    The image fills the model's canvas, a square, unless `size_hw` says another size.
    """
    canvas = model.spec.image.canvas
    pixels = torch.empty(1, 3, *(size_hw or (canvas, canvas)), device=model.device)
    with torch.no_grad(), _Counter() as counter:
        model.features(pixels) if isinstance(model, Sam) else model(pixels)
    return counter.macs


class _Counter(TorchFunctionMode):
    """Adds up the cost of every call listed in `_RULES`."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if rule := _RULES.get(func):
            self.macs += rule(out, *args[:3])
        return out


def _conv(out: Tensor, _: Tensor, weight: Tensor, *__: Any) -> int:
    return out.numel() * weight[0].numel()


def _linear(out: Tensor, _: Tensor, weight: Tensor, *__: Any) -> int:
    return out.numel() * weight.shape[1]


def _matmul(out: Tensor, left: Tensor, *_: Any) -> int:
    return out.numel() * left.shape[-1]


def _attention(_: Tensor, q: Tensor, k: Tensor, v: Tensor) -> int:
    return q[..., 0].numel() * k.shape[-2] * (q.shape[-1] + v.shape[-1])


_RULES: Mapping[Callable[..., Any], Callable[..., int]] = {
    F.conv2d: _conv,
    F.linear: _linear,
    torch.matmul: _matmul,
    Tensor.matmul: _matmul,
    Tensor.__matmul__: _matmul,
    F.scaled_dot_product_attention: _attention,
}
