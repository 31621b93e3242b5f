"""A run's folder. Every write is atomic.

- config.json: what is run
- checkpoint-000400.pt: the last few, by step
- checkpoint.pt: the newest of them, where --resume goes on
- best.pt: the one of the lowest loss, on held-out images if there are any, else the mean since the checkpoint before
- log.jsonl and tensorboard/: see `log`
- student.safetensors: at the end, the whole model with official names
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from samlet.errors import OutputError, TrainingError
from samlet.files import make_folder, write_aside, write_files
from samlet.models.trained import spec_text
from samlet.nn.network import Network
from samlet.reading import reading
from samlet.training.config import FREE, TrainConfig
from samlet.training.loop.optimizer import learning_rate
from samlet.training.loop.processes import count, is_first, wait_for_all

CONFIG, CHECKPOINT, BEST, LOG, STUDENT = "config.json", "checkpoint.pt", "best.pt", "log.jsonl", "student.safetensors"
_NUMBERED = re.compile(r"checkpoint-\d+\.pt")
_NAMES = (CHECKPOINT, BEST, LOG, STUDENT)
_NAMED = 4  # of the fields that differ


def open_run(folder: Path, config: TrainConfig, resume: bool) -> dict[str, Any] | None:
    """Prepare a run's folder. With `resume`, return the last checkpoint (None if there is none yet).

    Raises TrainingError if the folder holds a run and `resume` is off, or a run of another config.
    """
    if is_first():
        check_run(folder, config, resume)
        make_folder(folder)
        write_files({folder / CONFIG: (json.dumps(config.to_json(), indent=2) + "\n").encode()})
    wait_for_all()
    checkpoint = folder / CHECKPOINT
    return load_checkpoint(checkpoint, config.fsdp) if resume and checkpoint.exists() else None


def load_checkpoint(path: Path, mapped: bool = False) -> dict[str, Any]:
    """What `save_checkpoint` wrote; `mapped` tensors are read when they are used, and copying them is up to the caller.

    Raises TrainingError if the file is damaged, with what to do.
    """
    try:
        with reading(path, "a checkpoint", TrainingError):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except TrainingError as error:
        raise TrainingError(
            f"{str(error).rstrip('.')}: copy an older checkpoint-*.pt of the folder over it, or start the run anew."
        ) from error


def save_checkpoint(folder: Path, state: Mapping[str, Any], keep: int, best: bool) -> None:
    """Write a run's newest checkpoint and drop those older than the last `keep`.

    Raises OutputError if it cannot be written; the last good one stays and is what a resumed run starts from.
    """
    path = folder / f"checkpoint-{state['step']:06d}.pt"
    try:
        _write(path, state)
        for name in (CHECKPOINT, BEST)[: 1 + best]:
            _point(folder / name, path)
    except OutputError as error:
        kept = "the last good checkpoint is kept, go on from it" if (folder / CHECKPOINT).exists() else "start again"
        raise OutputError(f"{str(error).rstrip('.')}; {kept} with --resume.") from error
    for old in sorted(filter(_is_numbered, folder.iterdir()))[:-keep]:
        old.unlink(missing_ok=True)


def save_student(folder: Path, student: Network) -> Path:
    """Write the whole model with official names, and its spec if its classes are its own; the first process does."""
    path = folder / STUDENT
    if is_first():
        with write_aside(path) as aside:
            state = {name: value.contiguous() for name, value in student.state_dict().items()}
            save_file(state, aside, None if student.spec.classes is None else spec_text(student.spec))
    wait_for_all()
    return path


def check_run(folder: Path, config: TrainConfig, resume: bool) -> None:
    """TrainingError if a folder cannot be this run's: it holds a run and `resume` is off, a run of another config,
    files of no run that the run would replace, or is no folder. Writes nothing.
    """
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"{folder} is a file: choose another folder for the run.")
    saved = folder / CONFIG
    if saved.exists():
        if not resume:
            raise TrainingError(f"{folder} holds a run already: add --resume to go on, or choose another folder.")
        _check_same(TrainConfig.load(saved), config, folder)
        return
    foreign = sorted(path.name for path in folder.glob("*") if path.name in _NAMES or _is_numbered(path))
    if foreign:
        raise TrainingError(
            f"{folder} holds {foreign[0]}, which a run would replace, but no {CONFIG} of one: choose another folder."
        )


def _check_same(saved: TrainConfig, config: TrainConfig, folder: Path) -> None:
    old, new = saved.to_json(), config.to_json()
    if count() == 1 and {old["batch_norm"], new["batch_norm"]} == {"per-process", "synced"}:  # alone they are the same
        old["batch_norm"] = new["batch_norm"]
    names = [name for name in {**old, **new} if name not in FREE and old.get(name) != new.get(name)]
    if names == ["steps"]:
        _check_longer(saved, config, folder)
    elif names:
        differences = [f"{name} {old.get(name)}, not {new.get(name)}" for name in names[:_NAMED]]
        more = f" and {len(names) - _NAMED} other differences" if len(names) > _NAMED else ""
        raise TrainingError(
            f"{folder} is a run with {'; '.join(differences)}{more}: resume it as it was, or choose another folder."
        )


def _check_longer(saved: TrainConfig, config: TrainConfig, folder: Path) -> None:
    """TrainingError if the steps done would have been others in a run as long as `config` wants it."""
    checkpoint = folder / CHECKPOINT
    done = load_checkpoint(checkpoint, mapped=True)["step"] if checkpoint.exists() else 0
    same = all(
        learning_rate(step, saved) == learning_rate(step, config) and saved.canvas_at(step) == config.canvas_at(step)
        for step in range(done)
    )
    # The end of a run is a checkpoint as well, which a longer one would not have tried on the held-out images.
    due = done % config.checkpoint_every == 0 or not config.validation_images
    if done > config.steps or not (same and due):
        raise TrainingError(
            f"{folder} is a run of {saved.steps} steps, of which {done} are done with learning rates and canvases that "
            f"belong to that number: they would be others in a run of {config.steps}. Start a new run from its "
            f"{STUDENT}, or choose another folder."
        )


def _write(path: Path, state: Mapping[str, Any]) -> None:
    with write_aside(path) as aside:
        try:
            torch.save(dict(state), aside)
        except RuntimeError as error:  # torch's writer does not tell why; the space left does
            free = shutil.disk_usage(path.parent).free
            raise OutputError(f'Cannot write "{path}": {free >> 20} MiB are free there, make room.') from error


def _point(name: Path, target: Path) -> None:
    """Make `name` the same file as `target`: no copy where the file system can link."""
    with write_aside(name) as aside:
        try:
            os.link(target, aside)
        except OSError:
            shutil.copyfile(target, aside)


def _is_numbered(path: Path) -> bool:
    return _NUMBERED.fullmatch(path.name) is not None
