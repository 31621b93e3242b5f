"""Student and teacher in the prompt loop, on pictures small enough for a test."""

from __future__ import annotations

import pytest
import torch
from tests.fake_backend import FakeBackend
from tests.training.pictures import write_pictures
from tests.training.toy_stage import config

from samlet.data import open_folders
from samlet.models import create
from samlet.spec import ImageSpec
from samlet.training.config import DistillPromptedConfig
from samlet.training.stages.distill_prompted import DistillPrompted, PromptedBatches
from samlet.training.stages.teacher import Teacher

SMALL = ImageSpec(canvas=128)


def make_batches(tmp_path, **changes):
    values = {"steps": 6, "batch_size": 2, "canvases": ((1.0, 128),), "masks_per_image": 2, **changes}
    settings = config(DistillPromptedConfig, **values)
    samples = open_folders([write_pictures(tmp_path / "images")])
    teacher = Teacher(FakeBackend(), tmp_path / "cache", "0" * 64)
    return PromptedBatches(samples, teacher, SMALL, settings), settings


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    return create("efficientvit-sam-b0"), create("efficientvit-sam-b0")


def test_every_photo_has_prompts_with_masks_of_its_own_or_the_teachers(tmp_path):
    batches, _ = make_batches(tmp_path, teacher_share=0.0)
    for batch in batches.stream(0):
        prompts = len(batch.labels)
        assert batch.pixels.shape == (2, 3, 128, 128)
        assert batch.embedding.shape == (2, 256, 64, 64)
        assert batch.valid.shape == (prompts, 256, 256)
        assert batch.clicks.shape == (prompts, 1)
        assert sorted(set(batch.image_index.tolist())) == [0, 1]
        cells = (batch.points_xy[batch.labels > 0] / 4).long().clamp(0, 255)
        rows = torch.nonzero(batch.labels > 0)[:, 0]
        boxes = batch.labels[batch.labels > 0] > 1
        assert batch.valid[rows, cells[:, 1], cells[:, 0]][~boxes].all()  # no click beside the picture


def test_a_batch_depends_on_its_step_alone(tmp_path):
    batches, _ = make_batches(tmp_path)
    streamed = list(batches.stream(4))[1]
    again = batches.at(5)
    assert again.names == streamed.names
    assert torch.equal(again.pixels, streamed.pixels)
    assert torch.equal(again.points_xy, streamed.points_xy)
    assert torch.equal(again.clicks, streamed.clicks)


def test_encoder_decoder_and_iou_head_learn_and_the_teacher_does_not(tmp_path, models):
    batches, settings = make_batches(tmp_path, masks_per_image=1)
    student, teacher = models
    stage = DistillPrompted(student, teacher, settings).train()
    losses = stage(batches.at(0))
    assert set(losses) == {"bce", "dice", "iou"}
    sum(losses.values()).backward()
    for name in ("image_encoder.norm.weight", "mask_decoder.mask_tokens.weight"):
        assert student.get_parameter(name).grad.abs().sum() > 0
    assert student.get_parameter("mask_decoder.iou_prediction_head.layers.2.weight").grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert not teacher.training
    assert not any(name.startswith("_teacher") for name in stage.state_dict())


@pytest.mark.parametrize(("agrees", "low", "high"), [(True, 0.0, 0.01), (False, 0.9, 1.0)])
def test_masks_weigh_what_the_teacher_trusts_them(models, agrees, low, high):
    wanted = torch.full((1, 4, 256, 256), -20.0)
    wanted[:, 1:, :90] = 20.0
    logits = wanted.clone() if agrees else -wanted
    logits[:, 0] = 20.0  # wrong, but the teacher holds its own mask 0 to be worth nothing
    settings = config(DistillPromptedConfig, dice_weight=1.0)
    score = torch.tensor([[0.0, 0.5, 0.9, 0.7]])
    valid = torch.ones(1, 256, 256, dtype=torch.bool)
    losses = DistillPrompted(*models, settings)._losses(logits, score, wanted, score, valid)
    assert low <= losses["dice"] <= high
    assert (losses["bce"] < 1e-3) == agrees
    assert (losses["iou"] < 1e-6) == agrees  # of a mask that agrees, the IoU is what the teacher predicts


def test_clicks_anywhere_are_one_point_on_the_picture(tmp_path):
    batches, _ = make_batches(tmp_path, anywhere_share=1.0, teacher_share=0.0)
    batch = batches.at(0)
    assert batch.labels.shape[1] == 2  # the click and the token that stands for no box
    assert (batch.labels == 1).sum(dim=1).eq(1).all()
    assert len(batch.points_xy[:, 0].unique(dim=0)) == len(batch.labels)
