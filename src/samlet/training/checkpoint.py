"""A run's folder: config.json, checkpoint.pt, log.jsonl and, at the end, student.safetensors. Every write is atomic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from samlet.errors import TrainingError
from samlet.files import make_folder, write_aside, write_files
from samlet.models import Sam
from samlet.training.config import TrainConfig
from samlet.training.processes import is_first, wait_for_all

CONFIG, CHECKPOINT, LOG, STUDENT = "config.json", "checkpoint.pt", "log.jsonl", "student.safetensors"


def open_run(folder: Path, config: TrainConfig, resume: bool) -> dict[str, Any] | None:
    """Prepare a run's folder. With `resume`, return the last checkpoint (None if there is none yet).

    Raises TrainingError if the folder holds a run and `resume` is off, or a run of another config.
    """
    if is_first():
        _claim(make_folder(folder), config, resume)
    wait_for_all()
    checkpoint = folder / CHECKPOINT
    return torch.load(checkpoint, map_location="cpu", weights_only=True) if resume and checkpoint.exists() else None


def _claim(folder: Path, config: TrainConfig, resume: bool) -> None:
    saved = folder / CONFIG
    if saved.exists():
        if not resume:
            raise TrainingError(f"{folder} holds a run already: add --resume to go on, or choose another folder.")
        _check_same(TrainConfig.load(saved), config, folder)
    write_files({saved: (json.dumps(config.to_json(), indent=2) + "\n").encode()})


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Replace the run's checkpoint; a failure leaves the old one."""
    with write_aside(folder / CHECKPOINT) as aside:
        torch.save(state, aside)


def save_student(folder: Path, student: Sam) -> Path:
    """Write the whole model with official names; of several processes the first one does."""
    path = folder / STUDENT
    if is_first():
        with write_aside(path) as aside:
            save_file({name: value.contiguous() for name, value in student.state_dict().items()}, aside)
    wait_for_all()
    return path


def _check_same(saved: TrainConfig, config: TrainConfig, folder: Path) -> None:
    old, new = saved.to_json(), config.to_json()
    changed = [name for name in new if old.get(name) != new[name]]
    if changed:
        name = changed[0]
        raise TrainingError(
            f"{folder} is a run with {name} {old.get(name)}, not {new[name]}: resume it as it was, or choose another "
            "folder."
        )
