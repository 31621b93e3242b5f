"""Checkpoint files: read without running any code in them, loaded strictly.

Knows the wrappers training scripts put around a state dict; knows no model's names.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from samlet.errors import CheckpointError
from samlet.models.sam import Sam

WRAPPERS = ("state_dict", "model")
NAMES_SHOWN = 3


def load_checkpoint(model: Sam, path: str | Path) -> None:
    """Load an official or own checkpoint (.safetensors, .pt, .pth) into `model`, strictly.

    Only parameters that no forward pass reads (`model.unused`) may be absent; they keep their values.

    Raises CheckpointError when the file cannot be read, holds code, or is of another model.
    """
    expected = model.state_dict()
    unused = {name: value for name, value in expected.items() if name.startswith(model.unused)}
    state = unused | read_state_dict(path)
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected]
    if missing or unexpected:
        raise CheckpointError(_difference(path, missing, unexpected))
    wrong = [name for name in expected if expected[name].shape != state[name].shape]
    if wrong:
        name = wrong[0]
        raise CheckpointError(
            f"{path} is a checkpoint of another model: {name} has shape {tuple(state[name].shape)} where "
            f"{tuple(expected[name].shape)} is expected ({len(wrong)} tensors differ)."
        )
    model.load_state_dict(state)


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name. Pickles are read with `weights_only=True`: nothing in them is executed."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}: check the path.")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _load_pickle(path)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"cannot read {path} as a checkpoint of tensors: it is damaged, not a checkpoint, or holds code, which "
            f"samlet never runs ({type(error).__name__})."
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError(f"{path} holds no state dict of tensors: export the model's state_dict and try again.")
    return content


def _load_pickle(path: Path) -> object:
    return torch.load(path, map_location="cpu", weights_only=True)


def _difference(path: str | Path, missing: list[str], unexpected: list[str]) -> str:
    parts = [
        f"{len(names)} {what} ({', '.join(names[:NAMES_SHOWN])}{', …' if len(names) > NAMES_SHOWN else ''})"
        for what, names in (("names are missing", missing), ("are unknown", unexpected))
        if names
    ]
    return f"{path} is a checkpoint of another model: {' and '.join(parts)}."
