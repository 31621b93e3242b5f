"""Encoder distillation of the default model itself, on a small canvas: what a toy cannot show."""

from __future__ import annotations

from pathlib import Path

from tests.fake_backend import FakeBackend
from tests.training.toy_stage import config

from samlet.training.batches.sources import open_source
from samlet.training.config import DistillEncoderConfig
from samlet.training.loop.checkpoint import save_student
from samlet.training.loop.trainer import Trainer
from samlet.training.stages.distill_encoder import DistillEncoder
from samlet.training.stages.students import untrained
from samlet.training.stages.teacher import Teacher

NAME = "efficientvit-sam-b0"
TINY = Path(__file__).parents[1] / "fixtures" / "tiny"


def train_real(folder, **changes):
    """Train it for a few steps; losses are logged, the student is saved."""
    values = {"student": NAME, "steps": 4, "batch_size": 4, "canvases": ((1.0, 64),), "ema_decay": 0.0, **changes}
    settings = config(DistillEncoderConfig, **values)
    stage = DistillEncoder(untrained(NAME, 0), settings, Teacher(FakeBackend(), folder / "teacher", "0" * 64))
    batches = stage.make_batches(open_source([TINY]), settings)
    stage.begin(batches)
    trainer = Trainer(stage, settings, folder)
    losses = []
    trainer.run(batches.stream, lambda step, values: losses.append(values["loss"]))
    save_student(folder, stage.whole_student)
    return losses
