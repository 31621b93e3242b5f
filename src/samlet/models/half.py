"""Half precision for an image encoder, layer by layer, so that it neither overflows nor loses masks.

Convolutions and linear layers, nearly all of the work, take and give float16 or bfloat16. float32 stays: norms with
their statistics and resizes, or what an encoder says itself (`nn.parts`), softmax and the sums of attention
(`nn.layers.attend`), LiteMLA's sums and division (`models.efficientvit.blocks.LiteMLA`), whatever a module of its own
has as parameters (positions, scales), and all that is not the encoder: prompt encoder, mask decoder, the heads of
`edge-sam-rpn`.
"""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import nn

from samlet.nn.network import LogitsNetwork
from samlet.nn.parts import float32_layers
from samlet.nn.sam import Sam

HALF = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def half_encoder(model: Sam, dtype: torch.dtype) -> Sam:
    """A copy of a fused model in eval mode whose image encoder computes in `dtype` where that is safe.

    Its prompt encoder and mask decoder are those of `model`, and so are the names of its modules.
    """
    shared = (model.prompt_encoder, model.mask_decoder)
    copy = deepcopy(model, {id(part): part for part in shared})
    for part in copy.children():
        if part is copy.image_encoder:
            _convert(part, dtype)
        elif part not in shared:
            _keep(part)
    return copy


def half_network(network: LogitsNetwork, dtype: torch.dtype) -> LogitsNetwork:
    """A copy of a fused network in eval mode that computes, and answers, in `dtype` where that is safe."""
    copy = deepcopy(network)
    _convert(copy, dtype)
    return copy


def _convert(network: nn.Module, dtype: torch.dtype) -> None:
    """In place: layers of `HALF` in `dtype`; `float32_layers` stay, and pass on what they say in `dtype`."""
    kept = set(float32_layers(network))
    for part in network.modules():
        if isinstance(part, HALF) and part not in kept:
            part.to(dtype)
            part.register_forward_pre_hook(partial(_cast, dtype))
        elif part in kept:
            part.register_forward_pre_hook(partial(_cast, torch.float32))
            part.register_forward_hook(partial(_cast_result, dtype))


def _keep(part: nn.Module) -> None:
    """In place: every layer takes float32, for half precision comes from the encoder."""
    kept = set(float32_layers(part))
    for layer in part.modules():
        if isinstance(layer, HALF) or layer in kept:
            layer.register_forward_pre_hook(partial(_cast, torch.float32))


def _cast(dtype: torch.dtype, _module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Before a module runs: its input in a type."""
    return (given[0].to(dtype), *given[1:])


def _cast_result(dtype: torch.dtype, _module: nn.Module, _given: tuple[Any, ...], result: Any) -> Any:
    """After a module has run: its output in a type."""
    return result.to(dtype)
