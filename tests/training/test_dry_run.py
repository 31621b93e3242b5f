from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import save_file
from tests.training.small_sam import small_sam
from tests.training.toy_stage import config

from samlet.errors import CheckpointError, TrainingError
from samlet.models import checkpoints
from samlet.training.batches.sources import open_source
from samlet.training.config import DistillEncoderConfig, DistillPromptedConfig, FinetuneConfig
from samlet.training.dry_run import found_in
from samlet.training.loop.memory import activation_bytes, state_bytes
from samlet.training.runs import Broken, Run, TeacherFile, dry_run
from samlet.training.stages import students

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.setattr(students, "create", lambda *_: small_sam())
    monkeypatch.setattr(students, "promptable", lambda name: name)
    save_file(small_sam(1).state_dict(), tmp_path / "weights.safetensors")
    folder = tmp_path / "photos"
    folder.mkdir()
    for file in [*TINY.glob("tiny_camera.*"), *TINY.glob("tiny_coins.*")]:
        shutil.copy(file, folder)
    return folder


def settings(kind, **changes):
    return config(kind, **{"batch_size": 4, "canvases": ((1.0, 64),), **changes})


def told(config, run, **named):
    if not isinstance(config, DistillEncoderConfig):
        named["checkpoint"] = run.output.parent / "weights.safetensors"
    return [": ".join(line) for line in dry_run(config, run, **named).lines()]


def test_a_plan_says_what_will_happen_and_writes_nothing(photos, tmp_path):
    (photos / "cut.png").write_bytes(b"\x89PNG")
    (tmp_path / "manifest.tsv").write_text("name\tlicense_class\ntiny_camera\topen\n")
    broken = Broken(3)
    run = Run(tmp_path / "run", broken=broken)
    lines = told(settings(FinetuneConfig, grad_accum_steps=2), run, data=open_source([photos], broken=broken))
    assert "run: finetune of toy" in lines
    assert "steps: 12 of 4 images in 2 parts, float32: 48 images seen, 24.00 epochs" in lines
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
    weights = tmp_path / "weights.safetensors"
    given = {"teacher": TeacherFile("mobile-sam", weights), "checkpoint": weights}
    found = dry_run(settings(kind), Run(tmp_path), data=open_source([photos]), **given)
    student = small_sam()
    assert found.learning + found.frozen == sum(p.numel() for p in student.parameters())
    assert found.learning >= sum(p.numel() for p in student.get_submodule(learns).parameters())


def test_the_teachers_cache_is_counted(photos, tmp_path):
    teacher = TeacherFile("mobile-sam", tmp_path / "weights.safetensors", tmp_path / "cache")
    folder = teacher.folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / "one.npz").touch()
    lines = told(settings(DistillEncoderConfig), Run(tmp_path), data=open_source([photos]), teacher=teacher)
    assert f"teacher: 2 embeddings take 4 MiB; {folder} holds 1" in lines


def test_what_cannot_be_run_cannot_be_planned(photos, tmp_path):
    run, given = Run(tmp_path), {"data": open_source([photos]), "checkpoint": tmp_path / "weights.safetensors"}
    with pytest.raises(CheckpointError, match="does not exist"):
        dry_run(settings(DistillEncoderConfig), run, **given, teacher=TeacherFile("mobile-sam", tmp_path / "no.pt"))
    with pytest.raises(TrainingError, match="leaves none to train on"):
        dry_run(settings(FinetuneConfig, validation_images=2), run, **given)
    with pytest.raises(TrainingError, match="multiple of 3"):
        dry_run(settings(FinetuneConfig, grad_accum_steps=3), run, **given)
    with pytest.raises(TrainingError, match="one process cannot shard"):
        dry_run(settings(FinetuneConfig, fsdp=True), run, **given)
    with pytest.raises(TrainingError, match="trains on CUDA only"):
        dry_run(settings(FinetuneConfig, precision="float16"), run, **given)
    with pytest.raises(TrainingError, match="finetune needs a checkpoint"):
        dry_run(settings(FinetuneConfig), run, data=given["data"])
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        dry_run(settings(FinetuneConfig), run, data=given["data"], checkpoint=tmp_path / "none")


def test_another_models_checkpoint_and_photos_without_masks_are_told_beforehand(photos, tmp_path, monkeypatch):
    weights = tmp_path / "weights.safetensors"
    for record in photos.glob("*.json"):
        record.unlink()
    with pytest.raises(TrainingError, match="none of the 2 images has a mask"):
        dry_run(settings(FinetuneConfig), Run(tmp_path), data=open_source([photos]), checkpoint=weights)
    monkeypatch.undo()
    monkeypatch.setattr(checkpoints, "identify", lambda state: "mobile-sam")
    with pytest.raises(CheckpointError, match="a checkpoint of another model, mobile-sam, not of efficientvit-sam-b0"):
        dry_run(
            settings(FinetuneConfig, student="efficientvit-sam-b0"),
            Run(tmp_path),
            data=open_source([photos]),
            checkpoint=weights,
        )


@pytest.mark.parametrize("name", ["student.safetensors", "log.jsonl", "checkpoint-000010.pt"])
def test_files_of_no_run_are_told_beforehand(photos, tmp_path, name):
    (tmp_path / name).write_text("theirs")
    weights = tmp_path / "weights.safetensors"
    with pytest.raises(TrainingError, match=f"holds {name}, which a run would replace, but no config.json of one"):
        dry_run(settings(FinetuneConfig), Run(tmp_path), data=open_source([photos]), checkpoint=weights)


def test_a_folder_that_holds_a_run_is_told_beforehand(photos, tmp_path):
    chosen, given = (
        settings(FinetuneConfig),
        {"data": open_source([photos]), "checkpoint": tmp_path / "weights.safetensors"},
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(chosen.to_json()))
    with pytest.raises(TrainingError, match="holds a run already: add --resume"):
        dry_run(chosen, Run(tmp_path / "run"), **given)
    assert dry_run(chosen, Run(tmp_path / "run", resume=True), **given).learned_from == 2
    with pytest.raises(TrainingError, match="is a run with seed 0, not 1"):
        dry_run(replace(chosen, seed=1), Run(tmp_path / "run", resume=True), **given)
    with pytest.raises(TrainingError, match="is a file"):
        dry_run(chosen, Run(tmp_path / "weights.safetensors"), **given)


def test_no_images_make_no_folders():
    assert found_in([]) == []


def test_memory_grows_with_what_is_held_at_once():
    whole = activation_bytes(small_sam(), settings(FinetuneConfig))
    assert activation_bytes(small_sam(), settings(FinetuneConfig, grad_accum_steps=2)) == whole // 2
    assert activation_bytes(small_sam(), settings(FinetuneConfig, precision="bfloat16")) == whole // 2
    assert activation_bytes(small_sam(), settings(FinetuneConfig, canvases=((1.0, 128),))) > whole
    assert activation_bytes(small_sam(), settings(DistillEncoderConfig)) < whole


def test_what_learns_is_kept_five_times_and_what_is_frozen_twice():
    model = small_sam().requires_grad_(False)
    frozen = state_bytes(model)
    learning = model.mask_decoder.requires_grad_(True)
    assert state_bytes(model) - frozen == 3 * 4 * sum(p.numel() for p in learning.parameters())
