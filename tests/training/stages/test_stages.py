"""The two stages on pictures small enough for a test: shapes, what learns, what stays, and that a loss falls."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from tests.fake_backend import FakeBackend
from tests.training.small_sam import small_sam
from tests.training.toy_stage import config
from torch import nn

from samlet.data import open_folders
from samlet.errors import TrainingError
from samlet.geometry.rle import encode
from samlet.models import create
from samlet.runtime.torch import TorchBackend
from samlet.spec import ImageSpec
from samlet.training.batches.masks import MaskBatches, on_canvas
from samlet.training.config import DistillEncoderConfig
from samlet.training.stages.distill_encoder import DistillEncoder, EmbeddingBatch, EmbeddingBatches
from samlet.training.stages.teacher import Teacher

SMALL = ImageSpec(canvas=128)


@pytest.fixture
def folder(tmp_path):
    """Two pictures with two masks each, and one without."""
    path = tmp_path / "images"
    path.mkdir()
    for index, (height, width) in enumerate([(60, 90), (80, 50), (40, 40)]):
        y, x = np.mgrid[:height, :width]
        Image.fromarray(np.stack([x * 2, y * 2, x + y], -1).astype(np.uint8)).save(path / f"set_{index}.png")
        if index < 2:
            (path / f"set_{index}.json").write_text(json.dumps(record(height, width)))
    return path


def record(height, width):
    annotations = []
    for number, rows in enumerate([slice(5, 30), slice(10, 35)]):
        mask = np.zeros((height, width), bool)
        mask[rows, 8:40] = True
        rle = encode(mask)
        counts = rle["counts"].decode()
        annotations.append(
            {
                "id": number,
                "bbox": [8, rows.start, 32, 25],
                "area": int(mask.sum()),
                "segmentation": {"size": rle["size"], "counts": counts},
            }
        )
    return {"image": {"image_id": 0, "width": width, "height": height}, "annotations": annotations}


def embedding_batches(folder, tmp_path, **changes):
    settings = config(DistillEncoderConfig, steps=4, batch_size=2, canvases=((0.5, 96), (1.0, 128)), **changes)
    teacher = Teacher(FakeBackend(), tmp_path / "cache", "0" * 64)
    return EmbeddingBatches(open_folders([folder]), teacher, SMALL, settings), settings


def test_embedding_batches_have_the_canvas_of_their_step_and_never_change(folder, tmp_path):
    batches, _ = embedding_batches(folder, tmp_path)
    prepared = []
    batches.prepare(lambda done, total: prepared.append((done, total)))
    assert prepared == [(1, 3), (2, 3), (3, 3)]
    streamed = list(batches.stream(0))
    assert [batch.pixels.shape[-1] for batch in streamed] == [96, 96, 128, 128]
    assert streamed[0].target.shape == (2, 256, 64, 64)
    assert streamed[0].valid.shape == (2, 64, 64)
    assert torch.equal(streamed[3].pixels, batches.at(3).pixels)


def test_a_teacher_online_says_what_its_cache_holds(folder, tmp_path):
    model = small_sam()
    backend = TorchBackend(model, model.spec)
    losses = []
    for online in (False, True):
        settings = config(DistillEncoderConfig, steps=4, batch_size=2, canvases=((1.0, 64),), online=online, color=0)
        teacher = Teacher(backend, tmp_path / "cache", "0" * 64)
        stage = DistillEncoder(small_sam(1), settings, teacher, fresh=False, online=model if online else None).train()
        batches = stage.make_batches(open_folders([folder]), settings)
        stage.prepare(batches, None)
        assert online or list((tmp_path / "cache").rglob("*.npz"))
        losses.append(stage(batches.at(0))["mse"].item())
        assert not any("_online" in name for name in stage.state_dict())
        assert not model.training
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[0] > 0.01


def test_a_teacher_online_leaves_no_cache(folder, tmp_path):
    batches, _ = embedding_batches(folder, tmp_path, online=True)
    batches.prepare()
    batch = batches.at(0)
    assert (batch.target, batch.seen.shape, batch.seen.dtype) == (None, (2, 3, 768, 768), torch.float16)
    assert not (tmp_path / "cache").exists()


def test_distillation_lowers_its_loss_and_touches_nothing_but_the_encoder(folder, tmp_path):
    batches, settings = embedding_batches(folder, tmp_path, cosine_weight=0.5)
    torch.manual_seed(0)
    student = create("efficientvit-sam-b0")
    decoder = {name: value.clone() for name, value in student.mask_decoder.state_dict().items()}
    stage = DistillEncoder(student, settings).train()
    stage.begin(batches)
    optimizer = torch.optim.AdamW(stage.parameters(), lr=2e-3)
    batch = batches.at(0)
    totals = []
    for _ in range(6):
        losses = stage(batch)
        assert set(losses) == {"mse", "cosine"}
        totals.append(sum(losses.values()))
        optimizer.zero_grad()
        totals[-1].backward()
        optimizer.step()
    assert totals[-1] < totals[0]
    assert all(torch.equal(value, decoder[name]) for name, value in student.mask_decoder.state_dict().items())


def test_mask_batches_line_prompts_masks_and_images_up(folder):
    settings = config(steps=6, batch_size=2, views=6, masks_per_image=2, canvases=((1.0, 128),))
    batches = MaskBatches(open_folders([folder]), SMALL, settings)
    for batch in batches.stream(0):
        prompts = len(batch.labels)
        assert batch.pixels.shape == (2, 3, 128, 128)
        assert batch.masks.shape == batch.valid.shape == (prompts, 256, 256)
        assert sorted(set(batch.image_index.tolist())) == [0, 1]
        assert not batch.masks[~batch.valid].any()
        for points, labels, mask in zip(batch.points_xy, batch.labels, batch.masks, strict=True):
            for x, y in points[labels == 1]:
                assert mask[int((y + 0.5) / 4), int((x + 0.5) / 4)] > 0  # the click is on the mask it asks for


def test_images_without_masks_cannot_be_fine_tuned_on(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a_1.png")
    with pytest.raises(TrainingError, match="none of the 1 images has a mask"):
        MaskBatches(open_folders([tmp_path]), SMALL, config())


def test_a_mask_on_the_canvas_covers_what_it_covers_of_the_image():
    from samlet.geometry.frames import ImageFrame

    mask = np.zeros((100, 200), bool)
    mask[:50, :100] = True
    placed = on_canvas(mask, ImageFrame((100, 200), 128))
    assert placed.shape == (256, 256)
    assert placed.sum() == pytest.approx(256 * 128 / 4, rel=0.01)
    assert placed[:60, :120].min() == 1.0
    assert placed[128:].max() == 0.0


def test_a_student_starts_with_the_teachers_mean_and_spread():
    student = create("efficientvit-sam-b0")
    mean, std = torch.linspace(-1, 1, 256), torch.linspace(0.01, 0.2, 256)
    stage = DistillEncoder(student, config(DistillEncoderConfig)).eval()
    stage.start_at(mean, std)
    with torch.no_grad():
        embedding = stage.image_encoder(torch.randn(1, 3, 128, 128))
    assert (embedding.mean(dim=(0, 2, 3)) - mean).abs().mean() < 0.1
    assert 0.5 < embedding.sub(mean[:, None, None]).square().mean() / std.square().mean() < 1.5


def test_a_constant_at_the_teachers_mean_has_a_loss_of_one():
    student = create("efficientvit-sam-b0")
    mean, std = torch.zeros(256), torch.full((256,), 0.1)
    stage = DistillEncoder(student, config(DistillEncoderConfig))
    stage.start_at(mean, std)
    stage.image_encoder = nn.Identity()
    target = 0.1 * torch.randn(2, 256, 64, 64)
    batch = EmbeddingBatch(("a", "b"), torch.zeros_like(target), torch.ones(2, 64, 64, dtype=torch.bool), target)
    assert stage(batch)["mse"].item() == pytest.approx(1, abs=0.02)
