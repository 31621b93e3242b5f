"""A student with twice the channels that computes what a trained one does, to go on from it instead of from nothing.

Every channel is there twice and what reads it is split between the two, unevenly, so that they part as soon as they
learn. Blocks that the narrow student lacks add nothing at first. For EfficientViT's B series under one neck.
Source: Net2WiderNet (arXiv 1511.05641).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from samlet.errors import TrainingError
from samlet.files import make_folder, write_aside
from samlet.marks import WEIGHTS_MARK, are_our_weights, check_ours
from samlet.models import create, load_checkpoint

# The last norm of a residual block, whose scale of 0 makes the block add nothing.
_LAST_NORMS = ("point_conv.norm.weight", "proj.norm.weight")


def widen(checkpoint: Path, narrow: str, wide: str, output: Path, seed: int = 0) -> Path:
    """Write weights of the model `wide` that compute what `checkpoint`, of the model `narrow`, does; return the path.

    Raises TrainingError if `wide` is not twice as wide, CheckpointError if the checkpoint cannot be read, OutputError.
    """
    check_ours([output], are_our_weights)
    torch.manual_seed(seed)
    source, target = create(narrow, "promptable"), create(wide, "promptable")
    load_checkpoint(source, checkpoint)
    state = widened(source.state_dict(), target.state_dict(), torch.Generator().manual_seed(seed))
    make_folder(output.parent)
    with write_aside(output) as aside:
        save_file({name: value.contiguous() for name, value in state.items()}, aside, WEIGHTS_MARK)
    return output


def widened(narrow: Mapping[str, Tensor], wide: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """The state of `narrow` in the shapes of `wide`, whose own values only the added blocks keep."""
    state = {}
    for name, own in wide.items():
        if name not in narrow:
            state[name] = torch.zeros_like(own) if name.endswith(_LAST_NORMS) else own
            continue
        state[name] = _doubled(name, narrow[name], own.shape, generator)
        if state[name].shape != own.shape:
            raise TrainingError(
                f"{name} is {list(narrow[name].shape)} in one student and {list(own.shape)} in the other: widening "
                "doubles channels and nothing else."
            )
    return state


def _doubled(name: str, weight: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """`weight` [Co, Ci, ...] with those of its first two dimensions doubled that are larger in `shape`."""
    if not weight.ndim or weight.shape == shape:
        return weight
    if shape[0] > weight.shape[0]:
        weight = torch.cat([weight, weight])
    if weight.ndim == 1 or shape[1] <= weight.shape[1]:
        return weight
    # Attention's own output comes first, that of its coarser scale second: each half has its channels twice.
    halves = weight.chunk(2, dim=1) if name.endswith("proj.conv.weight") else (weight,)
    return torch.cat([part for half in halves for part in _split(half, generator)], dim=1)


def _split(weight: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two weights whose sum is `weight`; the first has between 0.2 and 0.8 of each number."""
    share = 0.2 + 0.6 * torch.rand(weight.shape, generator=generator)
    return weight * share, weight * (1 - share)
