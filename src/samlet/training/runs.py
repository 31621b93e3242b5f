"""Runs: a stage wired to its data, student and teacher. This is what the command line calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from samlet.data import Sample
from samlet.errors import TrainingError
from samlet.files import sha256_of
from samlet.models import Sam, create, load_checkpoint
from samlet.models.edge_sam_rpn import EdgeSamRpn
from samlet.runtime.torch import TorchBackend
from samlet.training.checkpoint import save_student
from samlet.training.config import DistillEncoderConfig, DistillPromptedConfig, FinetuneConfig, RpnConfig, TrainConfig
from samlet.training.distill_encoder import DistillEncoder, EmbeddingBatches
from samlet.training.distill_prompted import DistillPrompted, PromptedBatches
from samlet.training.finetune import Finetune
from samlet.training.lora import merge
from samlet.training.losses import spots_needed
from samlet.training.mask_batches import MaskBatches
from samlet.training.processes import is_first, joined
from samlet.training.rpn import BoxBatches, TrainRpn
from samlet.training.sources import open_source
from samlet.training.teacher import Teacher
from samlet.training.trainer import Progress, Trainer

__all__ = [
    "is_first",
    "joined",
    "open_source",
    "run_distill_encoder",
    "run_distill_prompted",
    "run_finetune",
    "run_rpn",
]

Prepared = Callable[[int, int], None]


def run_distill_encoder(
    config: DistillEncoderConfig,
    *,
    teacher: str,
    teacher_checkpoint: Path,
    data: Sequence[Sample],
    output: Path,
    cache: Path | None = None,
    resume: bool = False,
    prepared: Prepared | None = None,
    progress: Progress | None = None,
) -> Path:
    """Distil a teacher's encoder into a new student, whose prompt encoder and mask decoder are the teacher's.

    Returns the path of student.safetensors. `cache` (default: in `output`) keeps the teacher's embeddings.
    """
    master = _load(teacher, teacher_checkpoint)
    student = _new_student(config, master)
    batches = EmbeddingBatches(
        data,
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
    data: Sequence[Sample],
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
    batches = PromptedBatches(data, source, student.spec.image, config)
    trainer = Trainer(DistillPrompted(student, master, config), config, output, resume)
    trainer.run(batches.stream, progress)
    return save_student(output, student)


def run_finetune(
    config: FinetuneConfig,
    *,
    checkpoint: Path,
    data: Sequence[Sample],
    output: Path,
    resume: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Fine-tune a student on images with masks; `say` is told of images that are left out.

    Returns the path of student.safetensors.
    """
    student = _load(config.student, checkpoint)
    batches = MaskBatches(data, student.spec.image, config, spots_needed(config.points))
    if say is not None and batches.left_out:
        say(f"Left out, for want of a mask large enough to learn from: {batches.left_out} of {len(data)} images.")
    trainer = Trainer(Finetune(student, config), config, output, resume)
    trainer.run(batches.stream, progress)
    merge(student)
    return save_student(output, student)


def run_rpn(
    config: RpnConfig,
    *,
    checkpoint: Path,
    data: Sequence[Sample],
    output: Path,
    resume: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Train region proposals on top of a trained EdgeSAM (`checkpoint`), which stays as it is.

    Returns the path of student.safetensors, which holds both.
    """
    torch.manual_seed(config.seed)
    student = create(config.student)
    if not isinstance(student, EdgeSamRpn):
        raise TrainingError(f"{config.student} proposes no regions: the student of this stage is edge-sam-rpn.")
    student.load_state_dict(student.state_dict() | _load("edge-sam", checkpoint).state_dict())
    batches = BoxBatches(data, student.spec.image, config)
    trainer = Trainer(TrainRpn(student), config, output, resume)
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
