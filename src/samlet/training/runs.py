"""Runs: a stage wired to its data, student and teacher. This is what the command line calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import nn

from samlet.data import Broken, Sample
from samlet.errors import CheckpointError, TrainingError
from samlet.files import sha256_of
from samlet.models import Sam, create, load_checkpoint
from samlet.models.edge_sam.rpn import EdgeSamRpn
from samlet.runtime.torch import TorchBackend
from samlet.training.batches.masks import MaskBatches
from samlet.training.batches.order import Batch, hold_out, one_pass
from samlet.training.batches.sources import Source, open_source
from samlet.training.config import DistillEncoderConfig, DistillPromptedConfig, FinetuneConfig, RpnConfig, TrainConfig
from samlet.training.loop.checkpoint import save_student
from samlet.training.loop.processes import is_first, joined, own_device
from samlet.training.loop.trainer import Progress, Stream, Trainer
from samlet.training.plan import Plan, plan_run
from samlet.training.stages.distill_encoder import DistillEncoder, EmbeddingBatches
from samlet.training.stages.distill_prompted import DistillPrompted, PromptedBatches
from samlet.training.stages.finetune import Finetune
from samlet.training.stages.lora import merge
from samlet.training.stages.losses import spots_needed
from samlet.training.stages.rpn import BoxBatches, TrainRpn
from samlet.training.stages.teacher import Teacher, cache_folder

__all__ = [
    "Broken",
    "Run",
    "TeacherFile",
    "is_first",
    "joined",
    "open_source",
    "plan",
    "run_distill_encoder",
    "run_distill_prompted",
    "run_finetune",
    "run_rpn",
]

Prepared = Callable[[int, int], None]
Config = TypeVar("Config", bound=TrainConfig)


@dataclass(frozen=True)
class Run:
    """Where a config is run, and who hears of it: `prepared(done, of)` while the teacher works, `progress` after every
    step, `say` a sentence about images that are left out. `device` None is the process's own.
    """

    output: Path
    resume: bool = False
    device: str | None = None
    broken: Broken | None = None
    prepared: Prepared | None = None
    progress: Progress | None = None
    say: Callable[[str], None] | None = None


@dataclass(frozen=True)
class TeacherFile:
    """A teacher's name and weights, and where its embeddings are kept (None: in the output of the run)."""

    name: str
    checkpoint: Path
    cache: Path | None = None

    def folder(self, output: Path) -> Path:
        """The folder of its embeddings; CheckpointError if the weights are not there."""
        if not self.checkpoint.is_file():
            raise CheckpointError(f"{self.checkpoint} does not exist: give the weights of {self.name}.")
        return cache_folder(self.cache or output / "teacher", self.name, sha256_of(self.checkpoint))

    def open(self, run: Run) -> tuple[Sam, Teacher]:
        """The model on the run's device, and its cached embeddings."""
        model = _load(self.name, self.checkpoint)
        backend = TorchBackend(model, model.spec, own_device(run.device))
        return model, Teacher(backend, self.cache or run.output / "teacher", sha256_of(self.checkpoint))


def run_distill_encoder(
    config: DistillEncoderConfig, run: Run, *, teacher: TeacherFile, data: Sequence[Sample]
) -> Path:
    """Distil a teacher's encoder into a new student, whose prompt encoder and mask decoder are the teacher's.

    Returns the path of student.safetensors.
    """
    master, source = teacher.open(run)
    student = _new_student(config, master)

    def batches(samples: Sequence[Sample], config: DistillEncoderConfig) -> EmbeddingBatches:
        return EmbeddingBatches(samples, source, student.spec.image, config, run.broken)

    learned, held = _split(data, config, batches)
    stage = DistillEncoder(student, config, *learned.statistics())
    trainer = Trainer(stage, config, run.output, run.resume, run.device)
    learned.prepare(run.prepared)
    trainer.run(learned.stream, run.progress, held)
    return save_student(run.output, student)


def run_distill_prompted(
    config: DistillPromptedConfig, run: Run, *, checkpoint: Path, teacher: TeacherFile, data: Sequence[Sample]
) -> Path:
    """Distil a teacher's masks into a student with prompts in the loop. Returns the path of student.safetensors."""
    master, source = teacher.open(run)
    student = _load(config.student, checkpoint)
    _check_prompt_canvas(student, master)

    def batches(samples: Sequence[Sample], config: DistillPromptedConfig) -> PromptedBatches:
        return PromptedBatches(samples, source, student.spec.image, config, run.broken)

    _train(DistillPrompted(student, master, config), config, run, *_split(data, config, batches))
    return save_student(run.output, student)


def run_finetune(config: FinetuneConfig, run: Run, *, checkpoint: Path, data: Sequence[Sample]) -> Path:
    """Fine-tune a student on images with masks. Returns the path of student.safetensors."""
    student = _load(config.student, checkpoint)

    def batches(samples: Sequence[Sample], config: FinetuneConfig) -> MaskBatches:
        return MaskBatches(samples, student.spec.image, config, spots_needed(config.points), run.broken)

    learned, held = _split(data, config, batches)
    if run.say is not None and learned.left_out:
        run.say(f"Left out, for want of a mask large enough to learn from: {learned.left_out} of {len(data)} images.")
    _train(Finetune(student, config), config, run, learned, held)
    merge(student)
    return save_student(run.output, student)


def run_rpn(config: RpnConfig, run: Run, *, checkpoint: Path, data: Sequence[Sample]) -> Path:
    """Train region proposals on top of a trained EdgeSAM (`checkpoint`), which stays as it is.

    Returns the path of student.safetensors, which holds both.
    """
    torch.manual_seed(config.seed)
    student = _proposing(config)
    student.load_state_dict(student.state_dict() | _load("edge-sam", checkpoint).state_dict())

    def batches(samples: Sequence[Sample], config: RpnConfig) -> BoxBatches:
        return BoxBatches(samples, student.spec.image, config, run.broken)

    _train(TrainRpn(student), config, run, *_split(data, config, batches))
    return save_student(run.output, student)


def plan(config: TrainConfig, run: Run, *, data: Source, teacher: TeacherFile | None = None) -> Plan:
    """What a run of `config` would do, without doing or writing anything."""
    student = create(config.student)
    if isinstance(config, DistillEncoderConfig):
        stage: nn.Module = DistillEncoder(student, config, torch.zeros(()), torch.ones(()))
    elif isinstance(config, DistillPromptedConfig):
        stage = DistillPrompted(student, create(config.student), config)
    elif isinstance(config, FinetuneConfig):
        stage = Finetune(student, config)
    else:
        stage = TrainRpn(_proposing(config))
    cache = None if teacher is None else teacher.folder(run.output)
    return plan_run(config, data, stage, student, cache, run.broken)


class _Batches(Protocol):
    def stream(self, first_step: int) -> Iterator[Batch]: ...


Batches = TypeVar("Batches", bound=_Batches)


def _split(
    data: Sequence[Sample], config: Config, make: Callable[[Sequence[Sample], Config], Batches]
) -> tuple[Batches, Stream | None]:
    """The batches to learn from, and those of the held-out images, where there are any."""
    held = hold_out(data, config)
    return make(data, config), make(held, one_pass(config)).stream if len(held) else None


def _train(stage: nn.Module, config: TrainConfig, run: Run, learned: _Batches, held: Stream | None) -> None:
    Trainer(stage, config, run.output, run.resume, run.device).run(learned.stream, run.progress, held)


def _proposing(config: TrainConfig) -> EdgeSamRpn:
    student = create(config.student)
    if not isinstance(student, EdgeSamRpn):
        raise TrainingError(f"{config.student} proposes no regions: the student of this stage is edge-sam-rpn.")
    return student


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
