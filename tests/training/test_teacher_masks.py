"""The teacher's masks of views: sure ones only, each once, clean, and the same again when called again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tests.fake_backend import FakeBackend

from samlet.data import open_data
from samlet.predictor import Predictor
from samlet.training.recipes.default import mobile_sam_slim_stage1
from samlet.training.stages.teacher import Teacher
from samlet.training.teacher_masks import teacher_masks, write_teacher_masks

CONFIG = replace(mobile_sam_slim_stage1(), validation_images=0)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (200, 150), (90 * number, 0, 0)).save(folder / f"{number}.png")
    return open_data([folder]).samples


def teacher_of(tmp_path, **wish) -> Teacher:
    return Teacher(FakeBackend(**wish), tmp_path / "cache", "0" * 64)


def test_only_masks_the_teacher_is_sure_of_stay(tmp_path):
    """Of the fake's three discs the smallest has too low an IoU; small ones are also less stable."""
    teacher = teacher_of(tmp_path, radii=(60.0, 60.0, 60.0, 90.0))
    masks = teacher_masks(
        Predictor(teacher.backend), teacher, np.zeros((150, 200, 3), np.uint8), np.random.default_rng(0)
    )
    assert masks
    assert {round(mask.iou, 2) for mask in masks} <= {0.95, 0.9}
    codes = [mask.to_array() for mask in masks]
    overlaps = [(a & b).sum() / (a | b).sum() for i, a in enumerate(codes) for b in codes[:i]]
    assert max(overlaps, default=0) <= 0.75  # 0.7 before clean-up


def test_views_become_photos_with_records_and_a_second_call_adds_what_is_missing(photos, tmp_path):
    teacher, out = teacher_of(tmp_path, radii=(60.0, 60.0, 60.0, 90.0)), tmp_path / "out"
    heard = []
    assert write_teacher_masks(photos, teacher, CONFIG, out, 2, lambda *done: heard.append(done)) == 2
    assert heard == [(1, 2), (2, 2)]
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    assert write_teacher_masks(photos, teacher, CONFIG, out, 3) == 3
    assert first.items() <= {path.name: path.read_bytes() for path in out.iterdir()}.items()
    samples = open_data([out]).samples
    assert {sample.source for sample in samples} == {"teacher"}
    for sample in samples:
        assert sample.read_image().shape[:2] == sample.size_hw
        assert all(annotation.to_array().any() for annotation in sample.annotations)
    record = json.loads((out / "teacher_000000.json").read_text())
    assert record["annotations"][0]["predicted_iou"] >= 0.85


def test_a_view_the_teacher_is_unsure_of_is_left_out(photos, tmp_path):
    assert write_teacher_masks(photos, teacher_of(tmp_path, iou=(0.5, 0.5, 0.5, 0.5)), CONFIG, tmp_path / "out", 2) == 0
    assert not list((tmp_path / "out").iterdir())
