"""Checkpoint files: read without running any code in them, loaded strictly.

Knows the wrappers training scripts put around a state dict, and every model of the registry by its names and shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

import torch
from safetensors.torch import load_file
from torch import Tensor

from samlet.errors import CheckpointError
from samlet.models.creation import build, skeleton
from samlet.models.registry import MODELS, STUDENTS, UNLISTED, get_spec
from samlet.models.transformers_names import to_official_names
from samlet.nn.fusion import fuse
from samlet.nn.network import Network
from samlet.reading import is_missing, reading
from samlet.spec import VERBS, ModelSpec

WRAPPERS = ("state_dict", "model_state_dict", "model")
# What DistributedDataParallel, torch.compile and Lightning modules put before every name.
PREFIXES = ("module.", "_orig_mod.", "model.")
NAMES_SHOWN = 3
_RUN = frozenset({"step", "stage", "ema", "optimizer"})  # what `samlet train` keeps to go on with


def load_checkpoint(model: Network, path: str | Path) -> None:
    """Load an official or own checkpoint (.safetensors, .pt, .pth) into `model`, strictly once it is `adapted`.

    Only parameters that no forward pass reads (`model.unused`) may be absent; they keep their values. A checkpoint of
    the model after `fuse` fuses it.

    Raises CheckpointError when the file cannot be read, holds code, or is of another model, which it then names.
    """
    stored = read_state_dict(path)
    official = to_official_names(stored)
    state = model.adapted(official)
    differences = _differences(model, state)
    if differences and not _differences(_fused_skeleton(model.spec), state):
        fuse(model)
    elif differences:
        named = (
            ""
            if official.keys() == stored.keys()
            else " (It has the names of transformers' SamModel, here made official.)"
        )
        raise CheckpointError(_another_model(path, model, official, differences) + named)
    model.load_state_dict(model.state_dict() | state)


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name. Pickles are read with `weights_only=True`: nothing in them is executed."""
    path = Path(path)
    if is_missing(path):
        raise CheckpointError(f"no checkpoint at {path}: check the path.")
    with reading(path, "a checkpoint of tensors", CheckpointError):
        try:
            content = load_file(path) if _is_safetensors(path) else _load_pickle(path)
        except PermissionError:
            raise
        except Exception as error:
            raise CheckpointError(
                f"cannot read {path} as a checkpoint of tensors: it is damaged, not a checkpoint, or holds code, which "
                f"samlet never runs ({type(error).__name__})."
            ) from error
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not _is_state_dict(content):
        raise CheckpointError(_no_state_dict(path, content))
    return _without_prefixes(content)


def identify(state: Mapping[str, Tensor]) -> str | None:
    """The name by which samlet has the model whose names and shapes these are, or None."""
    promptable = any(name.startswith("image_encoder.") for name in state)
    students = STUDENTS if any(name.startswith("image_encoder.projections.") for name in state) else ()
    for spec in (*MODELS, *UNLISTED, *students):
        if (spec.task == "promptable") is promptable:
            model = skeleton(spec.name)
            if not _differences(model, model.adapted(state)):
                return spec.name
    return None


def _no_state_dict(path: Path, content: object) -> str:
    if isinstance(content, dict) and content.keys() >= _RUN:
        student = path.with_name("student.safetensors")
        return f"{path} is where a training run goes on, not a model: give {student}, which the run writes at its end."
    return f"{path} holds no state dict of tensors: export the model's state_dict and try again."


def _other_classes(model: Network, state: Mapping[str, Tensor]) -> int | None:
    """How many classes a file of this very network was trained for, if that is all that it has otherwise."""
    own = model.state_dict()
    if model.spec.classes is None or own.keys() != state.keys():
        return None
    others = {name for name, value in own.items() if state[name].shape != value.shape}
    counts = {len(state[name]) if state[name].ndim else 0 for name in others}
    kept = all(
        len(own[name]) == len(model.spec.classes) and state[name].shape[1:] == own[name].shape[1:] for name in others
    )
    return counts.pop() if len(counts) == 1 and kept else None


def _fused_skeleton(spec: ModelSpec) -> Network:
    """Names and shapes of the model after `fuse`, without weights."""
    with torch.device("meta"):
        model = build(spec)
    fuse(model)
    return model


def _without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without what training scripts put before all names; official names begin with none of it."""
    prefix = next((prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in state)), None)
    return state if prefix is None else _without_prefixes({name[len(prefix) :]: state[name] for name in state})


def _is_safetensors(path: Path) -> bool:
    """Whether the file begins as safetensors do; a file of the weights cache has no suffix that could tell."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _load_pickle(path: Path) -> object:
    return torch.load(path, map_location="cpu", weights_only=True)


def _is_state_dict(content: object) -> TypeGuard[dict[str, Tensor]]:
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items())
    )


def _differences(model: Network, state: Mapping[str, Tensor]) -> list[str]:
    """What keeps `state` from being a checkpoint of `model`, in words; empty if it is one."""
    expected = model.state_dict()
    missing = [name for name in expected if name not in state and not name.startswith(model.unused)]
    unknown = [name for name in state if name not in expected]
    reshaped = [
        f"{name} is {tuple(state[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    return [
        f"{len(items)} {what} ({', '.join(items[:NAMES_SHOWN])}{', …' if len(items) > NAMES_SHOWN else ''})"
        for what, items in (
            ("names are missing", missing),
            ("names are unknown", unknown),
            ("shapes differ", reshaped),
        )
        if items
    ]


def _another_model(path: str | Path, model: Network, state: Mapping[str, Tensor], differences: list[str]) -> str:
    wanted, classes = model.spec.name, _other_classes(model, model.adapted(state))
    if classes is not None:
        return (
            f"{path} is {wanted} for {classes} classes, not for its {model.spec.options['classes']}: give the names of "
            "those classes, a text file with a class a line (--classes FILE, classes=…)."
        )
    found = identify(state)
    if found is not None:
        spec = get_spec(found)
        verb = f", which `samlet {VERBS[spec.task]}` runs" if spec.task != model.spec.task else ""
        return f"{path} is a checkpoint of another model, {found}, not of {wanted}: load it as {found}{verb}."
    return f"{path} is a checkpoint of no model that samlet knows, {wanted} included: {', '.join(differences)}."
