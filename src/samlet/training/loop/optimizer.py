"""Learning rates, weight decay, clipping and the moving average of weights.

Which parameters do not decay (`no_weight_decay`):
- `vectors`: those of one dimension, that is norms and biases. Sources: EdgeSAM, TinyViT.
- `by-name`: those named after a norm or a bias. Source: EfficientViT-SAM's official code; SAM's channel norms, whose
  names are numbers, decay there.

What a network exempts itself (`samlet.nn.parts`), such as tables of relative positions, never decays.

`layer_decay` below 1 lets early layers of the image encoder learn slower: the last block at the full rate, each block
before it at `layer_decay` times the rate of its successor, what lies between two blocks as the one before it, all that
comes after them at the full rate. Source: TinyViT's fine-tuning, 0.8 in MobileSAM's builder.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from samlet.nn.mask_decoder import MaskDecoder
from samlet.nn.parts import no_weight_decay, ordered_blocks, with_blocks
from samlet.training.config import NoWeightDecay, TrainConfig
from samlet.training.loop.processes import full

ADAPTIVE_FLOOR = 1e-3
TINY = 1e-6


def build_optimizer(stage: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over the parameters that learn.

    Each group's `scale` multiplies the learning rate: `config.decoder_rate` for a mask decoder, which starts trained,
    and the powers of `config.layer_decay` for the image encoder. Raises ModelError if that is below 1 and the encoder
    does not say its blocks.
    """
    scales = {**layer_scales(stage, config.layer_decay), **_decoder_scales(stage, config.decoder_rate)}
    exempt = set(no_weight_decay(stage))
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in stage.named_parameters():
        if parameter.requires_grad:
            decay = config.weight_decay if decays(name, parameter, config.no_weight_decay) else 0.0
            key = (scales.get(parameter, 1.0), 0.0 if parameter in exempt else decay)
            groups.setdefault(key, []).append(parameter)
    return torch.optim.AdamW(
        [{"params": p, "scale": scale, "weight_decay": decay} for (scale, decay), p in groups.items()],
        lr=config.learning_rate,
    )


def decays(name: str, parameter: Tensor, rule: NoWeightDecay) -> bool:
    """Whether weight decay pulls at a parameter, by one of the rules above."""
    return "norm" not in name and "bias" not in name if rule == "by-name" else parameter.ndim > 1


def layer_scales(stage: nn.Module, decay: float) -> dict[nn.Parameter, float]:
    """The factor of the learning rate of each parameter of the networks that say their blocks; of all others it is 1.

    Raises ModelError if `decay` is not 1 and no network says its blocks.
    """
    if decay == 1:
        return {}
    ordered_blocks(stage, "layer_decay")
    scales: dict[nn.Parameter, float] = {}
    for network, blocks in with_blocks(stage):
        number = {parameter: i for i, block in enumerate(blocks) for parameter in block.parameters()}
        depth = 0
        for parameter in network.parameters():
            depth = number.get(parameter, depth)
            scales[parameter] = decay ** (len(blocks) - 1 - depth)
    return scales


def _decoder_scales(stage: nn.Module, rate: float) -> dict[nn.Parameter, float]:
    decoders = [module for module in stage.modules() if isinstance(module, MaskDecoder)]
    return {parameter: rate for decoder in decoders for parameter in decoder.parameters()}


def clip(stage: nn.Module, config: TrainConfig) -> float:
    """Limit each gradient to `clip_value`, then to `clip_adaptive`, then all together to `clip_norm`; 0 turns one off.

    Returns the norm before: not finite if a gradient is not.
    """
    parameters = [parameter for parameter in stage.parameters() if parameter.grad is not None]
    before = _gradients_norm(parameters)
    if config.clip_value:
        nn.utils.clip_grad_value_(parameters, config.clip_value)
    if config.clip_adaptive:
        clip_adaptively(parameters, config.clip_adaptive)
    if config.clip_norm:
        nn.utils.clip_grads_with_norm_(parameters, config.clip_norm, _gradients_norm(parameters))
    return before.item()


@torch.no_grad()
def clip_adaptively(parameters: Sequence[nn.Parameter], limit: float) -> None:
    """Limit the gradient of each unit to `limit` times the norm of its weights (at least 1e-3): AGC, arXiv 2102.06171.

    A unit is an output of a matrix or a convolution, and a vector as a whole. The last layer, a weight and its bias, is
    left alone, as in the paper.
    """
    for parameter in parameters[:-2]:
        if parameter.grad is None:
            continue
        axes = tuple(range(1, parameter.ndim)) if parameter.ndim > 1 else None
        most = limit * torch.linalg.vector_norm(parameter, dim=axes, keepdim=True).clamp(min=ADAPTIVE_FLOOR)
        norm = torch.linalg.vector_norm(parameter.grad, dim=axes, keepdim=True)
        parameter.grad.mul_((most / norm.clamp(min=TINY)).clamp(max=1))


def _gradients_norm(parameters: list[nn.Parameter]) -> Tensor:
    return full(nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine to the final rate; the cosine starts when the warm-up ends."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    span = config.learning_rate - config.final_learning_rate
    return config.final_learning_rate + span * (1 + math.cos(math.pi * progress)) / 2


@runtime_checkable
class SeesAverage(Protocol):
    """A stage that may ask the averaged weights something."""

    def see_average(self, state: Mapping[str, Tensor]) -> None:
        """Hear of them, once: they change in place after every step."""
        ...


class Ema:
    """Exponential moving average of a module's state; counters and integers are copied.

    The decay ramps up with the steps seen, so that the random start is soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @contextmanager
    def applied_to(self, module: nn.Module) -> Iterator[None]:
        """Let the module have the averaged state for as long as the block lasts."""
        own = {name: value.detach().clone() for name, value in module.state_dict().items()}
        module.load_state_dict(self.state)
        try:
            yield
        finally:
            module.load_state_dict(own)

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the module's state after the `step`-th step (from 0)."""
        decay = min(self.decay, (step + 1) / (step + 10))
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over a saved state."""
        for name, value in state.items():
            self.state[name].copy_(value)
