"""Runs: a stage wired to its data and trained. This is what the command line calls."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from samlet.data import Broken, Sample
from samlet.errors import TrainingError
from samlet.training.batches.feed import Batches
from samlet.training.batches.order import choose, hold_out, one_pass
from samlet.training.batches.sources import ClassSource, Source, open_class_source, open_source
from samlet.training.class_configs import ClassConfig
from samlet.training.config import TrainConfig
from samlet.training.dry_run import DryRun, describe_run
from samlet.training.loop.checkpoint import save_student
from samlet.training.loop.processes import is_first, joined
from samlet.training.loop.trainer import Progress, Trainer
from samlet.training.stages.registry import stage_of
from samlet.training.stages.stage import Stage, Start, Told
from samlet.training.stages.teacher import TeacherFile

__all__ = [
    "Broken",
    "Run",
    "TeacherFile",
    "dry_run",
    "for_epochs",
    "is_first",
    "joined",
    "open_class_source",
    "open_source",
    "train",
]

Config = TypeVar("Config", bound=TrainConfig)

_OLD_NAMES = {
    "plan": "dry_run",
    "run_distill_encoder": "train",
    "run_distill_prompted": "train",
    "run_finetune": "train",
    "run_rpn": "train",
}


@dataclass(frozen=True)
class Run:
    """Where a config is run, and who hears of it: `prepared(done, of)` while the teacher works, `progress` after every
    step, `say` a sentence about images that are left out. `device` None is the process's own; so many `workers` prepare
    batches, 0: a thread. Unless `teacher_first`, the teacher embeds a view when a step needs it, not all of them before
    the first step.
    """

    output: Path
    resume: bool = False
    device: str | None = None
    broken: Broken | None = None
    prepared: Told | None = None
    progress: Progress | None = None
    say: Callable[[str], None] | None = None
    workers: int = 0
    teacher_first: bool = True


def train(
    config: TrainConfig,
    run: Run,
    *,
    data: Sequence[Sample],
    checkpoint: Path | None = None,
    teacher: TeacherFile | None = None,
) -> Path:
    """Train the stage of a config, from a checkpoint, from a teacher or from both, as the stage needs.

    Returns the path of student.safetensors. Raises SamletError, with what to do.
    """
    config = with_classes_of(config, data)
    stage, learned, held = _open(config, run, data, checkpoint, teacher)
    if run.say is not None and learned.notice:
        run.say(learned.notice)
    stage.begin(learned)
    trainer = Trainer(stage, config, run.output, run.resume, run.device)
    if run.teacher_first:
        stage.prepare(learned, run.prepared)
    stream = partial(learned.stream, workers=run.workers, pinned=trainer.device.type == "cuda")
    trainer.run(stream, run.progress, None if held is None else held.stream)
    stage.finish()
    return save_student(run.output, stage.whole_student)


def dry_run(
    config: TrainConfig,
    run: Run,
    *,
    data: Source,
    checkpoint: Path | None = None,
    teacher: TeacherFile | None = None,
) -> DryRun:
    """What `train` would do, without doing or writing anything; raises what it would raise before its first step."""
    config = with_classes_of(config, data)
    stage, learned, _ = _open(config, run, data, checkpoint, teacher)
    start = Start(run.output, checkpoint, teacher, run.device)
    return describe_run(config, start, run.resume, data, stage, learned, run.broken)


def for_epochs(config: Config, epochs: float, data: Sequence[Sample]) -> Config:
    """The config with as many steps as show each image that is chosen of the data `epochs` times, rounded up."""
    return replace(config, steps=math.ceil(epochs * len(choose(data, config)) / config.batch_size))


def with_classes_of(config: Config, data: Sequence[Sample]) -> Config:
    """The config with the names of the data's classes, where the data has some and the stage learns them."""
    if isinstance(config, ClassConfig) and isinstance(data, ClassSource):
        return replace(config, classes=data.classes)
    return config


def _open(
    config: TrainConfig, run: Run, data: Sequence[Sample], checkpoint: Path | None, teacher: TeacherFile | None
) -> tuple[Stage, Batches[Any], Batches[Any] | None]:
    """The stage, its batches to learn from, and those of the held-out images, where there are any."""
    entry = stage_of(config)
    for needed, given, what in (
        (entry.needs_checkpoint, checkpoint, "a checkpoint"),
        (entry.needs_teacher, teacher, "a teacher"),
    ):
        if needed and given is None:
            raise TrainingError(f"{entry.name} needs {what}: give one.")
    stage = entry.load().open(config, Start(run.output, checkpoint, teacher, run.device))
    held = hold_out(data, config)
    learned = stage.make_batches(data, config, run.broken)
    learned.check_workers(run.workers)
    return stage, learned, stage.make_held_out(held, one_pass(config), run.broken) if len(held) else None


def __getattr__(name: str) -> Any:
    if name not in _OLD_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = _OLD_NAMES[name]
    warnings.warn(f"samlet.training.runs.{name} is now `{new}`, for every stage.", DeprecationWarning, stacklevel=2)
    return globals()[new]
