"""One process or many: `torchrun` starts them, gloo or NCCL joins them, each takes its share of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from samlet.errors import TrainingError


def rank() -> int:
    """The number of this process, 0 if it is alone."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return rank() == 0


def count() -> int:
    """How many processes share the run."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that `torchrun` started, for as long as the block lasts; alone, do nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield
        return
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def own_device(name: str | None = None) -> torch.device:
    """The device this process trains on: the named one; without a name its own CUDA device, or the CPU.

    Raises TrainingError for a device that is not there.
    """
    if name in (None, "cuda") and torch.cuda.is_available():
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        device = torch.device(name or "cpu")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise TrainingError(f'there is no device "{name}" here: `samlet doctor` lists the devices.') from error
    return device


def wait_for_all() -> None:
    """Return when every process has come here."""
    if count() > 1:
        distributed.barrier()


def average(value: Tensor) -> Tensor:
    """The mean of a tensor over the processes, without gradient; alone, the tensor itself."""
    if count() == 1:
        return value
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total / count()


def full(value: Tensor) -> Tensor:
    """The whole of a tensor of which each process may hold a part; all of them must ask."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def any_of_all(flag: bool, device: torch.device) -> bool:
    """Whether the flag is up in any process; all get the same answer, so that they can act on it together."""
    return bool(average(torch.tensor(float(flag), device=device)) > 0)


def names_of_all(names: tuple[str, ...]) -> list[str]:
    """The names of every process."""
    gathered: list[tuple[str, ...]] = [names] * count()
    if count() > 1:
        distributed.all_gather_object(gathered, names)
    return [name for part in gathered for name in part]


def in_parallel(stage: nn.Module) -> nn.Module:
    """The stage as it is to be called: gradients are averaged over the processes; alone, the stage itself."""
    return DistributedDataParallel(stage) if count() > 1 else stage


def exchange(call: nn.Module, wanted: bool) -> AbstractContextManager[None]:
    """The context of a backward pass; gradients are exchanged if `wanted`, else they only add up."""
    return nullcontext() if wanted or not isinstance(call, DistributedDataParallel) else call.no_sync()
