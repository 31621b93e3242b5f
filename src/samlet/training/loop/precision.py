"""The numbers a stage computes with: float32, or half precision where it is safe (autocast) with float32 weights.

bfloat16 has the range of float32 and needs nothing else; float16's gradients underflow, so its loss is scaled up first.
The layers whose sums overflow or lose their digits (`LayerNorm2d`, `LiteMLA`, losses) compute in float32 by themselves.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from samlet.errors import TrainingError
from samlet.training.config import Precision

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """The context a stage is called in; TrainingError for float16 anywhere but on CUDA."""
    if precision == "float16" and device.type != "cuda":
        raise TrainingError(f"float16 trains on CUDA only, this is {device.type}: use --precision bfloat16 or float32.")
    return torch.autocast(device.type, _DTYPES.get(precision), enabled=precision in _DTYPES)


def loss_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Scales the loss of float16 and skips steps whose gradients overflow; does nothing for the others."""
    return torch.amp.GradScaler(device.type, enabled=precision == "float16")
