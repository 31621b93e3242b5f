"""When memory runs out: which option needs less of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from samlet.errors import TrainingError
from samlet.training.config import TrainConfig

# How torch's CPU allocator says it; only CUDA has an exception of its own.
_SIGNS = ("can't allocate memory", "not enough memory", "out of memory")


@contextmanager
def explained(config: TrainConfig) -> Iterator[None]:
    """Turn an allocation that failed inside the block into a TrainingError that names the knobs."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _ran_out(error):
            raise
        raise TrainingError(f"not enough memory to train on {_load(config)}: {_remedy(config)}.") from error


def _ran_out(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(sign in str(error) for sign in _SIGNS)


def _load(config: TrainConfig) -> str:
    images = config.batch_size // config.accumulate
    canvas = max(canvas for _, canvas in config.canvases)
    return f"{images} images of {canvas} pixels at once in {config.precision}"


def _remedy(config: TrainConfig) -> str:
    """The next larger number of parts that divides the batch; when images go one by one, what is left."""
    for parts in range(config.accumulate + 1, config.batch_size + 1):
        if config.batch_size % parts == 0:
            return f"resume with --accumulate {parts}, which gives the same result in less memory"
    return "use --precision bf16, or fewer masks per image" if config.precision == "fp32" else "use a smaller canvas"
