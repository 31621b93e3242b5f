from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.training.small_sam import small_sam
from tests.training.toy_stage import config

from samlet.errors import CheckpointError, TrainingError
from samlet.training import runs
from samlet.training.batches.sources import open_source
from samlet.training.config import DistillEncoderConfig, DistillPromptedConfig, FinetuneConfig
from samlet.training.loop.memory import activation_bytes, state_bytes
from samlet.training.plan import found_in
from samlet.training.runs import Broken, Run, TeacherFile, plan

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "create", lambda name: small_sam())
    folder = tmp_path / "photos"
    folder.mkdir()
    for file in [*TINY.glob("tiny_camera.*"), *TINY.glob("tiny_coins.*")]:
        shutil.copy(file, folder)
    return folder


def settings(kind, **changes):
    return config(kind, **{"batch_size": 4, "canvases": ((1.0, 64),), **changes})


def told(config, run, **named):
    return [": ".join(line) for line in plan(config, run, **named).lines()]


def test_a_plan_says_what_will_happen_and_writes_nothing(photos, tmp_path):
    (photos / "cut.png").write_bytes(b"\x89PNG")
    (tmp_path / "manifest.tsv").write_text("name\tlicense_class\ntiny_camera\topen\n")
    broken = Broken(3)
    run = Run(tmp_path / "run", broken=broken)
    lines = told(settings(FinetuneConfig, accumulate=2), run, data=open_source([photos], broken=broken))
    assert "run: finetune of toy" in lines
    assert "steps: 12 of 4 images in 2 parts, fp32: 48 images seen, 24.00 epochs" in lines
    data = [line for line in lines if line.startswith("data")]
    assert len(data) == 1
    assert data[0].endswith("masks; licenses: not stated 1, open 1")
    assert f"data: {photos}: 2 images" in data[0]
    assert any(line.startswith("broken: ") and "cut.png" in line for line in lines)
    assert "images: 2 to learn from, 0 held out" in lines
    assert any(line.startswith("memory: about") for line in lines)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("kind", "learns"), [(DistillEncoderConfig, "image_encoder"), (DistillPromptedConfig, "mask_decoder")]
)
def test_what_learns_and_what_is_frozen_add_up_to_the_student(photos, tmp_path, kind, learns):
    teacher = tmp_path / "teacher.pt"
    teacher.write_bytes(b"weights")
    source = open_source([photos])
    found = plan(settings(kind), Run(tmp_path), data=source, teacher=TeacherFile("mobile-sam", teacher))
    student = small_sam()
    assert found.learning + found.frozen == sum(p.numel() for p in student.parameters())
    assert found.learning >= sum(p.numel() for p in student.get_submodule(learns).parameters())


def test_the_teachers_cache_is_counted(photos, tmp_path):
    teacher = TeacherFile("mobile-sam", tmp_path / "teacher.pt", tmp_path / "cache")
    teacher.checkpoint.write_bytes(b"weights")
    folder = teacher.folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / "one.npz").touch()
    lines = told(settings(DistillEncoderConfig), Run(tmp_path), data=open_source([photos]), teacher=teacher)
    assert f"teacher: 2 embeddings take 4 MiB; {folder} holds 1" in lines


def test_what_cannot_be_run_cannot_be_planned(photos, tmp_path):
    source, run = open_source([photos]), Run(tmp_path)
    with pytest.raises(CheckpointError, match="does not exist"):
        plan(settings(DistillEncoderConfig), run, data=source, teacher=TeacherFile("mobile-sam", tmp_path / "no.pt"))
    with pytest.raises(TrainingError, match="leaves none to train on"):
        plan(settings(FinetuneConfig, validation_images=2), run, data=source)
    with pytest.raises(TrainingError, match="multiple of 3"):
        plan(settings(FinetuneConfig, accumulate=3), run, data=source)
    with pytest.raises(TrainingError, match="one process cannot shard"):
        plan(settings(FinetuneConfig, sharded=True), run, data=source)


def test_no_images_make_no_folders():
    assert found_in([]) == []


def test_memory_grows_with_what_is_held_at_once():
    whole = activation_bytes(small_sam(), settings(FinetuneConfig))
    assert activation_bytes(small_sam(), settings(FinetuneConfig, accumulate=2)) == whole // 2
    assert activation_bytes(small_sam(), settings(FinetuneConfig, precision="bf16")) == whole // 2
    assert activation_bytes(small_sam(), settings(FinetuneConfig, canvases=((1.0, 128),))) > whole
    assert activation_bytes(small_sam(), settings(DistillEncoderConfig)) < whole


def test_what_learns_is_kept_five_times_and_what_is_frozen_twice():
    model = small_sam().requires_grad_(False)
    frozen = state_bytes(model)
    learning = model.mask_decoder.requires_grad_(True)
    assert state_bytes(model) - frozen == 3 * 4 * sum(p.numel() for p in learning.parameters())
