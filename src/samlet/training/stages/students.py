"""How stages make or load their students. The name of a classifier means SAM with its backbone."""

from __future__ import annotations

from pathlib import Path

import torch

from samlet.errors import TrainingError
from samlet.models import Sam, create, load_checkpoint
from samlet.models.registry import promptable


def load_student(name: str, checkpoint: Path | None) -> Sam:
    """The named model with the weights of a checkpoint. CheckpointError if they are not its own; TrainingError
    without any.
    """
    if checkpoint is None:
        raise TrainingError(f"{name} has no weights to start from: give --checkpoint.")
    model = create(promptable(name), "promptable")
    load_checkpoint(model, checkpoint)
    return model


def untrained(name: str, seed: int) -> Sam:
    """The named model with random weights from a seed."""
    torch.manual_seed(seed)
    return create(promptable(name), "promptable")


def new_student(name: str, seed: int, teacher: Sam, checkpoint: Path | None = None) -> Sam:
    """The named model with random weights, or those of a checkpoint, but for prompt encoder and mask decoder, which
    are the teacher's.
    """
    student = untrained(name, seed) if checkpoint is None else load_student(name, checkpoint)
    check_prompt_canvas(student, teacher)
    student.prompt_encoder.load_state_dict(teacher.prompt_encoder.state_dict())
    student.mask_decoder.load_state_dict(teacher.mask_decoder.state_dict())
    return student


def check_prompt_canvas(student: Sam, teacher: Sam) -> None:
    """TrainingError if student and teacher do not mean the same places by the same prompts."""
    if student.spec.image.prompt_canvas != teacher.spec.image.prompt_canvas:
        raise TrainingError(
            f"{student.spec.name} cannot learn from {teacher.spec.name}: their prompt canvases are "
            f"{student.spec.image.prompt_canvas} and {teacher.spec.image.prompt_canvas} pixels."
        )
