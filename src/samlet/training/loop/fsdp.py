"""Training sharded over processes (torch's FSDP2), for students too large to be held whole by each.

Of N processes each keeps 1/N of the weights, of their average, of the gradients and of the optimizer's two moments.
While a step runs it holds whole, beside its activations: all weights outside of the image encoder's blocks, and the
block at work with the one fetched ahead; under bfloat16 also every block's matrices in 2 bytes a number until the
backward pass has used them. Buffers and a teacher are whole in every process. The blocks are those that the image
encoder says it has (`samlet.nn.parts`).

Gradients are exchanged after every part of a step: adding them up first would keep a whole model's in each process.
A checkpoint is gathered tensor by tensor into the first process's main memory, where it is what a process alone
writes, so a run may go on sharded, in parallel or alone. At its end every process holds the student whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from samlet.errors import TrainingError
from samlet.nn.parts import ordered_blocks
from samlet.training.config import TrainConfig
from samlet.training.loop.processes import count, full, is_first


def check_fsdp(config: TrainConfig) -> None:
    """TrainingError if the config asks for shards where there can be none."""
    if config.fsdp and count() == 1:
        raise TrainingError("one process cannot shard: start several with torchrun, or train without --fsdp.")
    if config.fsdp and config.precision == "float16":
        raise TrainingError(
            "float16's scaled gradients are not checked across shards: use --precision bfloat16 or float32."
        )


def shard(stage: nn.Module, device: torch.device) -> nn.Module:
    """The stage itself, in which each process now keeps its part of every parameter on `device`.

    All processes must call it with the same weights, and from then on call the stage equally often. Raises
    TrainingError for a parameter without dimensions, ModelError if the encoder does not say its blocks.
    """
    for name, parameter in stage.named_parameters():
        if not parameter.ndim:
            raise TrainingError(f"{name} is a single number and has no parts: train without --fsdp.")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    mesh = init_device_mesh(device.type, (count(),))
    for block in ordered_blocks(stage, "--fsdp"):
        fully_shard(block, mesh=mesh)
    fully_shard(stage, mesh=mesh)
    return stage


def gathered(state: Any) -> Any:
    """Nested dicts and lists with whole tensors in main memory instead of parts; those are None but in the first
    process. All processes must ask.
    """
    if isinstance(state, DTensor):
        whole = full(state)
        return torch.empty_like(whole, device="cpu").copy_(whole) if is_first() else None
    if isinstance(state, Mapping):
        return {name: gathered(value) for name, value in state.items()}
    return [gathered(value) for value in state] if isinstance(state, list) else state


def scattered(state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors in parts, where those of the same name and shape in `like` are; the others as they come."""
    return {name: _scattered(value, like.get(name)) for name, value in state.items()}


def scattered_moments(state: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The state of an optimizer whose moments are whole, with parts as its parameters have them."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments = {
        number: {name: _scattered(value, parameters[number]) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    return {**state, "state": moments}


def make_whole(stage: nn.Module) -> None:
    """Give every process all weights of a sharded stage as plain parameters, to be read; others stay as they are."""
    for module in stage.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if isinstance(parameter, DTensor):
                whole = full(parameter.detach()).clone()
                setattr(module, name, nn.Parameter(whole, parameter.requires_grad))


def _scattered(value: Tensor, like: Tensor | None) -> Tensor:
    if not isinstance(like, DTensor) or isinstance(value, DTensor):
        return value
    if like.shape != value.shape:  # a moment's counter, which is not to stay in the file
        return value.clone()
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
