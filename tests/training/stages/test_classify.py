"""The stage `classify`: what learns, who teaches, what is dropped, where weights start, and that a loss falls."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.data.class_sets import write_classes
from tests.training.small_networks import SmallClassifier, seeded, small_network
from torch import nn

from samlet.classes import ClassList
from samlet.errors import CheckpointError, ModelError, TrainingError
from samlet.models import create
from samlet.models.registry import get_spec
from samlet.training.batches.images import ImageBatches
from samlet.training.batches.sources import open_class_source
from samlet.training.class_configs import ClassifyConfig
from samlet.training.loop.checkpoint import save_student
from samlet.training.loop.trainer import Trainer
from samlet.training.runs import Run, TeacherFile, dry_run, for_epochs, train
from samlet.training.stages import class_students
from samlet.training.stages.class_losses import class_loss, distillation
from samlet.training.stages.class_students import branches_of, student_spec
from samlet.training.stages.classify import Classify
from samlet.training.stages.drop_path import DropPath
from samlet.training.stages.stage import Start


def config(**changes):
    values = {"student": "efficientvit-b0", "steps": 4, "batch_size": 4, "canvases": ((1.0, 32),), "warmup_steps": 1}
    return ClassifyConfig(**{**values, "classes": ("cat", "dog"), "checkpoint_every": 2, "ema_decay": 0.9, **changes})


@pytest.fixture
def data(tmp_path):
    return open_class_source([write_classes(tmp_path / "set")], "classes")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(class_students, "create", small_network)


def stage_of(settings, data, teacher=None, pair=False):
    spec = student_spec(settings, "classification")
    stage = Classify(seeded(SmallClassifier, spec, pair=pair), settings, teacher)
    return stage, ImageBatches(data, spec.image, settings)


def test_a_classifier_learns_two_classes_and_says_which(tmp_path, data):
    settings = config(steps=10, batch_size=4, learning_rate=3e-2, min_area=0.8, color=0.0, validation_images=2)
    losses = []
    weights = train(settings, Run(tmp_path / "run", progress=lambda _, values: losses.append(values)), data=data)
    assert losses[-1]["classes"] < losses[0]["classes"] / 1.5
    assert "validation" in losses[-1]
    trained = load_file(weights)
    assert trained["head.weight"].shape == (2, 16)


def test_the_spec_has_the_classes_and_the_last_canvas():
    spec = student_spec(config(crop_ratio=0.5), "classification")
    assert spec.classes is not None
    assert (spec.classes.names, spec.image.canvas, spec.image.crop_ratio) == (("cat", "dog"), 32, 0.5)
    with pytest.raises(TrainingError, match="names no classes"):
        student_spec(config(classes=()), "classification")
    with pytest.raises(ModelError, match="samlet parse"):
        student_spec(config(student="efficientvit-seg-b0-cityscapes"), "classification")


def test_options_of_the_network(monkeypatch):
    settings = config(student="efficientvit-m0", patch_stride=4, second_head=True)
    assert student_spec(settings, "classification").options == {
        "size": "m0", "classes": 2, "patch_stride": 4, "distilled": True
    }  # fmt: skip
    monkeypatch.setattr(class_students, "create", create)
    with pytest.raises(TrainingError, match="efficientvit-b0 has no patch_stride or second_head"):
        Classify.open(config(patch_stride=4), Start(None))


def test_a_teacher_weighs_what_it_is_given(data):
    settings = config(distill_weight=0.25, temperature=2.0)
    stage, batches = stage_of(settings, data)
    teacher = seeded(SmallClassifier, stage.student.spec, 7).eval()
    taught = Classify(stage.student, settings, teacher)
    batch = batches.at(0)
    stage.eval(), taught.eval()
    plain = stage(batch)["classes"]
    assert set(taught(batch)) == {"classes"}  # what is held out is judged by labels
    taught.train()
    taught.student.eval()
    losses = taught(batch)
    assert losses["classes"].item() == pytest.approx(0.75 * plain.item())
    wanted = distillation(stage.student(batch.pixels), teacher(batch.pixels), "soft", 2.0)
    assert losses["teacher"].item() == pytest.approx(0.25 * wanted.item())
    assert not any("teacher" in name for name in taught.state_dict())


def test_a_second_head_learns_from_the_teacher(data):
    settings = config()
    stage, batches = stage_of(settings, data, pair=True)
    teacher = seeded(SmallClassifier, stage.student.spec, 7).eval()
    taught = Classify(stage.student, settings, teacher).train()
    losses = taught(batches.at(0))
    losses["teacher"].backward(retain_graph=True)
    assert stage.student.taught.weight.grad is not None
    assert stage.student.head.weight.grad is None


def test_losses_of_a_table():
    logits, targets = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    assert class_loss(logits, targets, "cross-entropy").item() == pytest.approx(0.126928, abs=1e-5)
    assert class_loss(logits, targets, "bce").item() == pytest.approx((0.126928 + 0.693147) / 2, abs=1e-5)
    assert distillation(logits, logits, "soft", 3.0).item() == pytest.approx(0.0, abs=1e-6)
    assert distillation(logits, torch.tensor([[0.0, 9.0]]), "hard", 1.0).item() == pytest.approx(2.126928, abs=1e-5)


def test_mesa_asks_the_averaged_weights_late_and_moves_nothing(data, tmp_path):
    settings = config(mesa=2.0, mesa_from=0.5, loss="bce")
    stage, batches = stage_of(settings, data)
    trainer = Trainer(stage, settings, tmp_path / "run")
    stage.train()
    before = {name: value.clone() for name, value in trainer.ema.state.items()}
    early, late = stage(batches.at(0)), stage(batches.at(2))
    assert set(early) == {"classes"}
    assert set(late) == {"classes", "mesa"}
    assert all(torch.equal(value, before[name]) for name, value in trainer.ema.state.items())
    assert stage.student.backbone.training
    logits = stage.student.eval()(batches.at(2).pixels)
    stage.student.train()
    assert late["mesa"].item() > 0
    assert logits.shape == (4, 2)


def test_paths_are_dropped_for_some_images_more_and_more_often():
    branches = [nn.Identity() for _ in range(5)]
    drop = DropPath(branches, 0.8, exempt=2)
    assert drop.chances == pytest.approx([0.0, 0.0, 0.4, 0.6, 0.8])
    ones = torch.ones(400, 3, requires_grad=True)
    torch.manual_seed(0)
    dropped = branches[4](ones)
    assert sorted(set(dropped.flatten().tolist())) == pytest.approx([0.0, 5.0])
    assert (dropped[:, 0] == dropped[:, 2]).all()  # an image as a whole
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.3)
    drop.scale = 0.5
    assert branches[4](ones).max().item() == pytest.approx(1 / 0.6)
    branches[4].eval()
    assert torch.equal(branches[4](ones), ones)
    with torch.no_grad():
        assert torch.equal(branches[3](ones), ones)
    assert torch.equal(branches[0](ones), ones)


def test_branches_start_at_zero_and_are_found_in_their_order(data):
    stage = Classify.open(config(zero_init=True), Start(None))
    branches = branches_of(stage.student)
    assert len(branches) == 3  # of a block with one, and of a block with two
    x = torch.rand(2, 16, 8, 8)
    assert all(not branch(x).any() for branch in branches)


def test_only_the_head_learns_of_a_frozen_backbone(data, tmp_path):
    settings = config(freeze_backbone=True)
    before = seeded(SmallClassifier, student_spec(settings, "classification"), settings.seed).state_dict()
    weights = load_file(train(settings, Run(tmp_path / "run"), data=data))
    same = {name for name, value in weights.items() if torch.equal(value, before[name])}
    assert same == {name for name in before if name.startswith("backbone.")}


def test_weights_to_start_from(tmp_path):
    settings = config()
    spec = student_spec(settings, "classification")
    other = seeded(SmallClassifier, spec, 5)
    save_file(other.state_dict(), tmp_path / "whole.safetensors")
    found = Classify.open(settings, Start(tmp_path, tmp_path / "whole.safetensors")).student.state_dict()
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in found.items())

    sam = {f"image_encoder.{name}": v for name, v in other.state_dict().items() if name.startswith("backbone.")}
    save_file(sam | {"mask_decoder.x": torch.ones(1)}, tmp_path / "sam.safetensors")
    found = Classify.open(settings, Start(tmp_path, tmp_path / "sam.safetensors")).student.state_dict()
    same = {name for name, value in found.items() if torch.equal(value, other.state_dict()[name])}
    assert {name for name in found if name.startswith("backbone.")} <= same
    assert "head.weight" not in same

    more = seeded(SmallClassifier, replace(spec, classes=ClassList("own", ("a", "b", "c"))), 6)  # other classes
    save_file(more.state_dict(), tmp_path / "more.safetensors")
    found = Classify.open(settings, Start(tmp_path, tmp_path / "more.safetensors")).student.state_dict()
    assert all(torch.equal(value, more.state_dict()[name]) for name, value in found.items() if "backbone" in name)
    assert found["head.weight"].shape == (2, 16)

    save_file({"backbone.stem": torch.ones(3)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="neither the weights of efficientvit-b0 with 2 classes nor those of"):
        Classify.open(settings, Start(tmp_path, tmp_path / "other.safetensors"))


def test_a_teacher_of_other_classes_is_refused(tmp_path, data):
    spec = replace(get_spec("efficientvit-b0"), image=student_spec(config(), "classification").image)
    save_file(seeded(SmallClassifier, spec).state_dict(), tmp_path / "teacher.safetensors")
    teacher = TeacherFile("efficientvit-b0", tmp_path / "teacher.safetensors")
    with pytest.raises(CheckpointError, match=r"teacher\.safetensors"):
        train(config(), Run(tmp_path / "run"), data=data, teacher=teacher)


@pytest.mark.parametrize("classes", [("dog", "cat"), ("cat", "emu", "dog")])
def test_a_teacher_trained_here_says_its_classes(tmp_path, data, classes):
    spec = student_spec(config(classes=classes), "classification")
    teacher = TeacherFile("efficientvit-b0", save_student(tmp_path, seeded(SmallClassifier, spec, 4)))
    with pytest.raises(TrainingError, match=rf"is efficientvit-b0 of {len(classes)} classes .*, in the same order"):
        train(config(), Run(tmp_path / "run"), data=data, teacher=teacher)
    fitting = SmallClassifier(student_spec(config(canvases=((1.0, 64),)), "classification"))
    teacher = TeacherFile("efficientvit-b0", save_student(tmp_path, fitting))
    found = class_students.teacher_network(teacher.name, teacher.checkpoint, ("cat", "dog"))
    assert found.spec.image.canvas == 64  # as it was trained


def test_the_classes_of_the_data_are_part_of_the_run(tmp_path, data):
    train(config(classes=()), Run(tmp_path / "run"), data=data)
    other = open_class_source([write_classes(tmp_path / "other", ("cat", "emu"))], "classes")
    with pytest.raises(TrainingError, match=r"is a run with classes .*'dog'"):
        train(config(), Run(tmp_path / "run", resume=True), data=other)


def test_a_run_with_everything_on_goes_on_as_if_it_had_not_been_stopped(tmp_path, data):
    settings = config(
        steps=6, mesa=1.0, drop_path=0.5, drop_path_ramp=1.0, mixup=0.5, cutmix=0.5, rand_augment=(2, 9, 0.5),
        erase=0.5, sizes=(24, 32), repeats=2, clip_adaptive=0.02, zero_init=True, batch_norm="re-estimated",
    )  # fmt: skip

    def stop(step, _):
        if step == 3:
            raise ZeroDivisionError

    whole = load_file(train(settings, Run(tmp_path / "whole"), data=data))
    with pytest.raises(ZeroDivisionError):
        train(settings, Run(tmp_path / "cut", progress=stop), data=data)
    resumed = load_file(train(settings, Run(tmp_path / "cut", resume=True), data=data))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path, data):
    settings = for_epochs(config(sizes=(16, 32), classes=()), 2, data)
    lines = dict(dry_run(settings, Run(tmp_path / "run"), data=data).lines())
    assert lines["run"] == "classify of efficientvit-b0"
    assert "12 images seen, 2.00 epochs" in lines["steps"]
    assert "learn, 0 are frozen" in lines["parameters"]
    assert lines["classes"] == "2: cat, dog"
    assert lines["data"] == f"{tmp_path / 'set'}: 6 images; licenses: not stated 6"
    assert not (tmp_path / "run").exists()
