"""An encoder of timm under SAM's decoder: which maps it uses, what is refused, and that its weights load and export."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.filler import fill_
from tests.stand_in_timm import stand_in_timm
from tests.tiny import with_decoders_at_hand
from tests.training.pictures import write_pictures
from tests.training.toy_stage import config

import samlet
from samlet import loading
from samlet.data import open_folders
from samlet.errors import MissingExtraError, ModelError, UnknownModelError
from samlet.export.onnx import export_onnx
from samlet.models import create
from samlet.models.creation import skeleton
from samlet.models.registry import get_spec
from samlet.spec import ImageSpec, ModelSpec
from samlet.training.config import DistillEncoderConfig
from samlet.training.runs import Run, TeacherFile, train


@pytest.fixture(autouse=True)
def _timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", stand_in_timm())


@pytest.mark.parametrize(("name", "used"), [("pyramid", (2, 3, 4)), ("pyramid_fine", (1,))])
@torch.no_grad()
def test_maps_at_an_eighth_and_coarser_become_the_grid(name: str, used: tuple[int, ...]) -> None:
    encoder = create(f"timm:{name}").image_encoder
    assert encoder.used == used
    assert [child for child, _ in encoder.named_children()] == ["backbone", "projections", "norm"]
    for canvas in (64, 96):
        pixels = torch.randn(2, 3, canvas, canvas, generator=torch.Generator().manual_seed(0))
        maps = encoder.backbone(pixels)
        projected = [project(maps[i]) for i, project in zip(used, encoder.projections, strict=True)]
        torch.testing.assert_close(encoder(pixels), encoder.norm(torch.stack(projected).sum(0)))
        assert encoder(pixels).shape == (2, 256, 64, 64)


def test_a_skeleton_has_no_weights() -> None:
    assert {value.device.type for value in skeleton("timm:pyramid").state_dict().values()} == {"meta"}


def test_a_model_of_one_size_can_be_used_at_that_size() -> None:
    spec = replace(get_spec("timm:one_size"), image=ImageSpec(canvas=224))
    assert create(spec).image_encoder.used == (0, 1)


@pytest.mark.parametrize(
    ("name", "kind", "sentence"),
    [
        ("pyramyd", UnknownModelError, 'timm has no model "pyramyd": did you mean pyramid, pyramid_fine?'),
        ("zebra", UnknownModelError, 'timm has no model "zebra": `timm.list_models()` lists the names.'),
        ("one_size", ModelError, "timm's one_size cannot encode images of 512 pixels (Input height doesn't match "),
        ("channels_last", ModelError, "(its maps are not ordered channels, height, width): choose one that gives"),
    ],
)
def test_what_cannot_be_a_student_is_refused(name: str, kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind) as refused:
        create(f"timm:{name}")
    assert sentence in str(refused.value)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r'^An encoder of timm needs .* pip install "samlet\[timm\]"\.$'):
        create("timm:pyramid")


def test_a_torchvision_of_another_torch_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "timm.py").write_text('raise RuntimeError("operator torchvision::nms does not exist")')
    monkeypatch.delitem(sys.modules, "timm")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r"\(operator torchvision::nms does not exist\): install the torchvision that"):
        create("timm:pyramid")


def test_a_student_is_trained_and_loaded_by_its_name(tmp_path: Path) -> None:
    photos = write_pictures(tmp_path / "photos")
    teacher = tmp_path / "teacher.safetensors"
    save_file(create("timm:pyramid_fine").state_dict(), teacher)
    settings = config(
        DistillEncoderConfig, student="timm:pyramid", steps=2, batch_size=1, canvases=((0.5, 64), (1.0, 96))
    )
    run = Run(tmp_path / "run")
    student = train(settings, run, teacher=TeacherFile("timm:pyramid_fine", teacher), data=open_folders([photos]))
    model = loading.load("timm:pyramid", checkpoint=student)
    assert model.spec == get_spec("timm:pyramid")
    embedding = model.embed(np.zeros((40, 60, 3), np.uint8))
    assert model.predict(embedding, samlet.Prompts.points([[30, 20]])).size_hw == (40, 60)


@pytest.mark.slow
def test_its_artifact_needs_no_timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_decoders_at_hand(monkeypatch)
    model = fill_(create(replace(get_spec("timm:pyramid"), image=ImageSpec(canvas=128))))
    assert export_onnx(model, tmp_path / "artifact").mean_mask_iou >= 0.999
    monkeypatch.setitem(sys.modules, "timm", None)
    loaded = samlet.load(tmp_path / "artifact", backend="onnx").spec
    assert ModelSpec.from_json(loaded.to_json()) == loaded == model.spec
