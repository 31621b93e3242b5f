"""Runs: a stage wired to its data, student and teacher. This is what the command line calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from samlet.data import open_folders
from samlet.errors import TrainingError
from samlet.files import sha256_of
from samlet.models import Sam, create, load_checkpoint
from samlet.runtime.torch import TorchBackend
from samlet.training.checkpoint import save_student
from samlet.training.config import DistillEncoderConfig, DistillPromptedConfig, FinetuneConfig, TrainConfig
from samlet.training.distill_encoder import DistillEncoder, EmbeddingBatches
from samlet.training.distill_prompted import DistillPrompted, PromptedBatches
from samlet.training.finetune import Finetune
from samlet.training.losses import spots_needed
from samlet.training.mask_batches import MaskBatches
from samlet.training.processes import is_first, joined
from samlet.training.teacher import Teacher
from samlet.training.trainer import Progress, Trainer

__all__ = ["is_first", "joined", "run_distill_encoder", "run_distill_prompted", "run_finetune"]

Prepared = Callable[[int, int], None]


def run_distill_encoder(
    config: DistillEncoderConfig,
    *,
    teacher: str,
    teacher_checkpoint: Path,
    data: Sequence[Path],
    output: Path,
    cache: Path | None = None,
    resume: bool = False,
    prepared: Prepared | None = None,
    progress: Progress | None = None,
) -> Path:
    """Distil a teacher's encoder into a new student, whose prompt encoder and mask decoder are the teacher's.

    Returns the path of student.safetensors. `cache` (default: in `output`) keeps the teacher's embeddings.
    """
    samples = open_folders(data)
    master = _load(teacher, teacher_checkpoint)
    student = _new_student(config, master)
    batches = EmbeddingBatches(
        samples,
        Teacher(TorchBackend(master, master.spec), cache or output / "teacher", sha256_of(teacher_checkpoint)),
        student.spec.image,
        config,
    )
    stage = DistillEncoder(student, config, *batches.statistics())
    trainer = Trainer(stage, config, output, resume)
    batches.prepare(prepared)
    trainer.run(batches.stream, progress)
    return save_student(output, student)


def run_distill_prompted(
    config: DistillPromptedConfig,
    *,
    checkpoint: Path,
    teacher: str,
    teacher_checkpoint: Path,
    data: Sequence[Path],
    output: Path,
    cache: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Distil a teacher's masks into a student with prompts in the loop. Returns the path of student.safetensors."""
    master = _load(teacher, teacher_checkpoint)
    student = _load(config.student, checkpoint)
    _check_prompt_canvas(student, master)
    source = Teacher(TorchBackend(master, master.spec), cache or output / "teacher", sha256_of(teacher_checkpoint))
    batches = PromptedBatches(open_folders(data), source, student.spec.image, config)
    trainer = Trainer(DistillPrompted(student, master, config), config, output, resume)
    trainer.run(batches.stream, progress)
    return save_student(output, student)


def run_finetune(
    config: FinetuneConfig,
    *,
    checkpoint: Path,
    data: Sequence[Path],
    output: Path,
    resume: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Fine-tune a student on images with masks. Returns the path of student.safetensors."""
    student = _load(config.student, checkpoint)
    batches = MaskBatches(open_folders(data), student.spec.image, config, spots_needed(config.points))
    trainer = Trainer(Finetune(student, config), config, output, resume)
    trainer.run(batches.stream, progress)
    return save_student(output, student)


def _load(name: str, checkpoint: Path) -> Sam:
    model = create(name)
    load_checkpoint(model, checkpoint)
    return model


def _new_student(config: TrainConfig, teacher: Sam) -> Sam:
    torch.manual_seed(config.seed)
    student = create(config.student)
    _check_prompt_canvas(student, teacher)
    student.prompt_encoder.load_state_dict(teacher.prompt_encoder.state_dict())
    student.mask_decoder.load_state_dict(teacher.mask_decoder.state_dict())
    return student


def _check_prompt_canvas(student: Sam, teacher: Sam) -> None:
    if student.spec.image.prompt_canvas != teacher.spec.image.prompt_canvas:
        raise TrainingError(
            f"{student.spec.name} cannot learn from {teacher.spec.name}: their prompt canvases are "
            f"{student.spec.image.prompt_canvas} and {teacher.spec.image.prompt_canvas} pixels."
        )
