"""What training and half precision ask of a network, and what a network says of itself.

A module says it with a method of one of the protocols below; the functions collect what the modules inside a network
say. Nothing is read from names.

- `ordered_blocks`: its blocks, for layer decay and FSDP.
- `attention_projections`: the projections of one attention, for LoRA.
- `no_weight_decay`: tables that weight decay must leave alone, though they look like weights.
- `residual_branch`: what a block adds to its input, for stochastic depth.
- `float32_layers`: layers that stay float32 in half precision, where they are others than norms and resizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import nn

from samlet.errors import ModelError

# All batch norms and instance norms derive from the second.
NORMS_AND_RESIZES = (nn.LayerNorm, nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.Upsample)


@runtime_checkable
class HasBlocks(Protocol):
    """A backbone made of blocks that run one after the other."""

    def ordered_blocks(self) -> Sequence[nn.Module]:
        """The blocks in the order in which they run; none inside another."""
        ...


@runtime_checkable
class HasAttention(Protocol):
    """A module that attends."""

    def attention_projections(self) -> Sequence[nn.Module]:
        """Its linear layers and dense 1 x 1 convolutions that make queries, keys, values and the result."""
        ...


@runtime_checkable
class HasNoWeightDecay(Protocol):
    """A module with parameters of several dimensions that are no weights."""

    def no_weight_decay(self) -> Sequence[nn.Parameter]:
        """Those parameters."""
        ...


@runtime_checkable
class HasResidual(Protocol):
    """A module that adds something to its input."""

    def residual_branch(self) -> nn.Module:
        """The module whose answer is added."""
        ...


@runtime_checkable
class HasFloat32Layers(Protocol):
    """A network with layers of its own that half precision would spoil."""

    def float32_layers(self) -> Sequence[nn.Module]:
        """All layers of the network that stay float32, its norms included."""
        ...


def with_blocks(module: nn.Module) -> list[tuple[nn.Module, list[nn.Module]]]:
    """The networks inside a module that say their blocks, the outermost where they are nested, each with its blocks."""
    if isinstance(module, HasBlocks):
        return [(module, list(module.ordered_blocks()))]
    return [found for child in module.children() for found in with_blocks(child)]


def ordered_blocks(module: nn.Module, wanted_for: str) -> list[nn.Module]:
    """The blocks of the networks inside a module, in order.

    Raises ModelError if none says its blocks; the sentence names what they are `wanted_for`.
    """
    blocks = [block for _, found in with_blocks(module) for block in found]
    if not blocks:
        encoder = type(getattr(getattr(module, "student", module), "image_encoder", module)).__name__
        raise ModelError(
            f"{wanted_for} needs the blocks of the image encoder, and {encoder} does not say which they are: give it a "
            f"method ordered_blocks() (see samlet.nn.parts), or train without {wanted_for}."
        )
    return blocks


def attention_projections(module: nn.Module) -> list[nn.Module]:
    """The attention projections of all modules inside one, in their order; empty if nothing attends."""
    attending = [part for part in module.modules() if isinstance(part, HasAttention)]
    return [layer for part in attending for layer in part.attention_projections()]


def residual_branches(module: nn.Module) -> list[nn.Module]:
    """What the modules inside one add to their inputs, in their order; empty if none adds anything."""
    return [part.residual_branch() for part in module.modules() if isinstance(part, HasResidual)]


def no_weight_decay(module: nn.Module) -> list[nn.Parameter]:
    """The parameters inside a module that weight decay must leave alone."""
    return [p for part in module.modules() if isinstance(part, HasNoWeightDecay) for p in part.no_weight_decay()]


def float32_layers(network: nn.Module) -> list[nn.Module]:
    """The layers of a network that stay float32: what it says itself, else its norms and resizes."""
    if isinstance(network, HasFloat32Layers):
        return list(network.float32_layers())
    return [layer for layer in network.modules() if isinstance(layer, NORMS_AND_RESIZES)]
