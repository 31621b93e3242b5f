"""`samlet eval` on real photos with masks of our own, and that set itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation import fake

from samlet import loading
from samlet.cli import main
from samlet.data import open_folders
from samlet.evaluation import left_out, select_samples
from samlet.geometry import rle
from samlet.models.registry import DEFAULT_MODEL, shipped_folder

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"
LARGEST_BYTES = 40_000


def report_of_eval(output: Path, *options: str) -> dict:
    assert main(["eval", "--data", str(TINY), "--output", str(output), *options]) == 0
    return json.loads((output / "report.json").read_text())


def test_the_set_is_small_and_whole() -> None:
    samples = open_folders([TINY])
    assert len(samples) == 11
    assert sum(len(sample.annotations) for sample in samples) == 35
    for sample in samples:
        assert isinstance(sample.image, Path)
        assert sample.image.stat().st_size <= LARGEST_BYTES
        assert sample.read_image().shape[:2] == sample.size_hw
        assert 2 <= len(sample.annotations) <= 4
    assert set(left_out(samples).values()) == {0}
    assert select_samples(samples) == samples


def test_boxes_and_areas_are_those_of_the_masks() -> None:
    for sample in open_folders([TINY]):
        for annotation in sample.annotations:
            assert annotation.area_px == rle.area(annotation.rle)
            assert annotation.box_xywh == rle.to_box(annotation.rle)


def test_every_photo_has_a_license() -> None:
    readme = (TINY / "README.md").read_text(encoding="utf-8")
    notice = (TINY.parents[2] / "NOTICE").read_text(encoding="utf-8")
    for photo in TINY.glob("*.jpg"):
        assert f"| `{photo.name}` |" in readme
        assert photo.name in notice


def test_a_model_that_answers_with_the_box(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loading, "load", fake.load)
    monkeypatch.setattr("samlet.evaluation.provenance.weights_hash", lambda *_: "0" * 64)
    report = report_of_eval(tmp_path / "out")
    shares = [
        annotation.area_px / np.prod(annotation.box_xywh[2:])
        for sample in open_folders([TINY])
        for annotation in sample.annotations
    ]
    # The mask of that model is the box on a 256-pixel canvas: a pixel there is up to 1.25 pixels of the photo.
    assert report["metrics"]["miou"]["all"] == pytest.approx(np.mean(shares), abs=0.05)
    assert report["metrics"]["instances"] == {"all": 35, "small": 11, "medium": 17, "large": 7}
    assert report["images"] == 11


def test_the_default_model_finds_the_boxed_objects(tmp_path: Path) -> None:
    if shipped_folder(DEFAULT_MODEL) is None:
        pytest.skip(f"the default model {DEFAULT_MODEL} is not in src/samlet/models/shipped yet")
    metrics = report_of_eval(tmp_path / "out")["metrics"]
    assert metrics["miou"]["all"] > 0.7
    assert metrics["boundary_miou"]["all"] > 0.47  # what the box itself would get as an answer
