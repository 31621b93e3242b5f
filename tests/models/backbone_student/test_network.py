"""The backbone of a classifier under SAM's decoder: it is found by name, trained, exported and asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.filler import fill_
from tests.tiny import with_decoders_at_hand
from tests.training.pictures import write_pictures
from tests.training.toy_stage import config

from samlet.data import open_folders
from samlet.errors import CheckpointError, ModelError, UnknownModelError
from samlet.export.onnx import export_onnx
from samlet.export.parity import PHOTOS
from samlet.loading import load, load_module
from samlet.models import create, load_checkpoint
from samlet.models.creation import skeleton
from samlet.models.registry import MODELS, STUDENTS, get_spec, promptable
from samlet.nn.parts import attention_projections, ordered_blocks
from samlet.prompts import Prompts
from samlet.spec import ModelSpec
from samlet.training.config import DistillEncoderConfig
from samlet.training.runs import Run, TeacherFile, train
from samlet.training.stages.students import untrained

PIXELS = torch.empty(1, 3, 512, 512, device="meta")
# One of each family in the fast suite: building all of them takes seconds.
FAST = {"sam:efficientvit-b0", "sam:efficientvit-l1", "sam:efficientvit-m2", "sam:cascadedvit-s"}


def test_there_is_one_for_every_classifier() -> None:
    classifiers = [spec.name for spec in MODELS if spec.task == "classification"]
    assert [spec.name for spec in STUDENTS] == [f"sam:{name}" for name in classifiers]
    assert all(promptable(name) is get_spec(f"sam:{name}") for name in classifiers)
    assert promptable("edge-sam") is get_spec("edge-sam")
    assert all(ModelSpec.from_json(spec.to_json()) == spec for spec in STUDENTS)


@pytest.mark.parametrize(
    "name", [spec.name if spec.name in FAST else pytest.param(spec.name, marks=pytest.mark.slow) for spec in STUDENTS]
)
def test_a_backbone_encodes_and_says_its_parts(name: str) -> None:
    model = skeleton(name)
    assert model.encode(PIXELS).shape == (1, 256, 64, 64)
    assert len(ordered_blocks(model, "a test")) >= 12
    assert attention_projections(model.image_encoder)
    assert not any("head" in parameter for parameter in model.image_encoder.state_dict())


def test_names_that_mean_none() -> None:
    with pytest.raises(UnknownModelError):
        get_spec("sam:efficientvit-m9")
    with pytest.raises(ModelError, match="use `samlet parse`"):
        untrained("efficientvit-seg-b0-cityscapes", 0)


def test_its_checkpoint_is_told_from_the_classifiers(tmp_path: Path) -> None:
    names = skeleton("sam:efficientvit-m0").state_dict()
    torch.save({name: torch.zeros(()).expand(value.shape) for name, value in names.items()}, tmp_path / "student.pt")
    with pytest.raises(CheckpointError, match=r"another model, sam:efficientvit-m0, .* which `samlet segment` runs"):
        load_checkpoint(create("efficientvit-m0"), tmp_path / "student.pt")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientvit-b1", "efficientvit-m2", "cascadedvit-s"])
def test_a_student_is_trained_exported_and_asked(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_decoders_at_hand(monkeypatch)  # the student's are the teacher's, and stay
    photos = write_pictures(tmp_path / "photos")
    teacher = tmp_path / "teacher.safetensors"
    save_file(fill_(create("efficientvit-sam-b0")).state_dict(), teacher)
    settings = config(
        DistillEncoderConfig, student=name, canvases=((1.0, 64),), steps=2, batch_size=2, checkpoint_every=2
    )
    run = Run(tmp_path / "run")
    student = train(settings, run, teacher=TeacherFile("efficientvit-sam-b0", teacher), data=open_folders([photos]))
    model = load(f"sam:{name}", checkpoint=student, task="promptable")
    click = Prompts.points([[30, 20]])
    mask = model.predict(model.embed(photos / "set_2.png"), click)
    assert mask.size_hw == (40, 40)
    module = load_module(f"sam:{name}", student, task="promptable")
    assert export_onnx(module, tmp_path / "artifact", photos=PHOTOS[:1]).mean_mask_iou >= 0.999
    exported = load(tmp_path / "artifact", backend="onnx", task="promptable")
    assert exported.spec.name == f"sam:{name}"
    again = exported.predict(exported.embed(photos / "set_2.png"), click)
    np.testing.assert_allclose(again.iou, mask.iou, atol=1e-3)
    assert (again.to_array() == mask.to_array()).mean() > 0.999
