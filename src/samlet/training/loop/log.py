"""What a run says of itself: a row of log.jsonl and a point of each TensorBoard curve, every few steps."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import TracebackType

import torch
from torch.utils.tensorboard import SummaryWriter

from samlet.files import output_error
from samlet.training.loop.checkpoint import LOG

LOG_EVERY = 10
TENSORBOARD = "tensorboard"
VALIDATION = "validation"  # the loss on held-out images, in a row of its own after each checkpoint


class RunLog:
    """Open as a context. `first_step`: where the run goes on; TensorBoard forgets what it saw of later steps."""

    def __init__(self, folder: Path, first_step: int) -> None:
        self._path = folder / LOG
        self._curves = SummaryWriter(str(folder / TENSORBOARD), purge_step=first_step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add a row; OutputError if the disk is full."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **values}) + "\n")
        except OSError as error:
            raise output_error(self._path, error) from error
        for name, value in values.items():
            self._curves.add_scalar(name, value, step)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._curves.close()


def peak_memory_mib(device: torch.device) -> float:
    """The most memory this process has held so far, in MiB: of the GPU, or of the machine."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if sys.platform == "win32":  # has no resource module
        return 0.0
    import resource

    # Linux counts KiB, macOS bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
