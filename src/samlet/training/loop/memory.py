"""Memory: how much a run will take, and which option needs less when it runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from samlet.errors import TrainingError
from samlet.models import Sam
from samlet.training.config import PromptedConfig, TrainConfig
from samlet.training.loop.processes import count

# How torch's CPU allocator says it; only CUDA has an exception of its own.
_SIGNS = ("can't allocate memory", "not enough memory", "out of memory")

_FLOAT = 4  # bytes
_TOKENS = 6  # of a prompt with a few clicks


@contextmanager
def explained(config: TrainConfig) -> Iterator[None]:
    """Turn an allocation that failed inside the block into a TrainingError that names the knobs."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _ran_out(error):
            raise
        raise TrainingError(f"not enough memory to train on {_load(config)}: {_remedy(config)}.") from error


def state_bytes(stage: nn.Module) -> int:
    """What a stage keeps all the time: weights and their average; of what learns also gradients and two moments."""
    kept = sum(tensor.numel() for tensor in stage.state_dict().values())
    learning = sum(parameter.numel() for parameter in stage.parameters() if parameter.requires_grad)
    return _FLOAT * (2 * kept + 3 * learning)


def activation_bytes(student: nn.Module, config: TrainConfig) -> int:
    """What the student keeps for the backward pass of this process's part of a step, at the largest canvas.

    Counted on the meta device, to which the student is moved; half precision is taken to need half.
    """
    student.to("meta")
    canvas = config.largest_canvas
    images = config.batch_size // (config.grad_accum_steps * count())
    with torch.device("meta"):
        run = student.encode if isinstance(student, Sam) else student
        saved = images * _saved_bytes(student, lambda: run(torch.empty(1, 3, canvas, canvas)))
        if isinstance(student, Sam) and isinstance(config, PromptedConfig):
            prompts = images * config.masks_per_image
            saved += config.rounds * prompts * _saved_bytes(student, lambda: _decode(student))
    return saved if config.precision == "float32" else saved // 2


def _decode(student: Sam) -> object:
    channels, grid = student.prompt_encoder.channels, student.prompt_encoder.grid
    embedding = torch.empty(1, channels, grid, grid, requires_grad=True)
    points_xy, labels = torch.empty(1, _TOKENS, 2), torch.empty(1, _TOKENS, dtype=torch.long)
    return student.answer(embedding, points_xy, labels)


def _saved_bytes(student: nn.Module, forward: Callable[[], object]) -> int:
    """Bytes of the tensors that a forward pass keeps for its backward pass, weights not counted."""
    weights = {parameter.untyped_storage()._cdata for parameter in student.parameters()}
    found: dict[int, int] = {}
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            found[storage._cdata] = storage.nbytes()
            kept.append(tensor)  # a storage that is gone could lend its number to another
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return sum(found.values())


def _ran_out(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(sign in str(error) for sign in _SIGNS)


def _load(config: TrainConfig) -> str:
    images = config.batch_size // (config.grad_accum_steps * count())
    canvas = config.largest_canvas
    return f"{images} images of {canvas} pixels at once in {config.precision}"


def _remedy(config: TrainConfig) -> str:
    """The next larger number of parts that divides the batch; when images go one by one, what is left."""
    for parts in range(config.grad_accum_steps + 1, config.batch_size + 1):
        if config.batch_size % parts == 0:
            same = "gives the same result" if config.batch_norm == "frozen" else "normalizes over fewer images at once"
            return f"resume with --grad-accum-steps {parts}, which {same} in less memory"
    if config.precision == "float32":
        return "use --precision bfloat16, or fewer masks per image"
    return "use a smaller canvas"
