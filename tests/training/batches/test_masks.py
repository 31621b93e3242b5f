"""Which images and masks stage 3 draws, and what it leaves out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tests.data.records import jpeg, record, write_shard
from tests.training.small_sam import IMAGE
from tests.training.stages.test_finetune import SAMPLES, sample, settings

from samlet.data import Annotation
from samlet.errors import TrainingError
from samlet.geometry.rle import encode
from samlet.training.batches.masks import MaskBatches
from samlet.training.batches.sources import open_source

EMPTY = Annotation("empty", encode(np.zeros((64, 64), bool)), (0, 0, 0, 0), 900.0)  # its record says otherwise


def with_masks(number, *annotations):
    return dataclasses.replace(sample(number, []), annotations=annotations)


def batches(samples, **changes):
    return MaskBatches(samples, IMAGE, settings(**changes))


def test_images_without_a_mask_to_see_are_left_out_and_counted():
    speck = Annotation(1, encode(np.eye(1, 4096, dtype=bool).reshape(64, 64)), (0, 0, 1, 1), 1.0)
    crowd = dataclasses.replace(SAMPLES[0].annotations[0], crowd=True)
    useless = [with_masks(3), with_masks(4, EMPTY), with_masks(5, speck), with_masks(6, crowd)]
    made = batches([*SAMPLES, *useless])
    assert f"4 of {len(SAMPLES) + 4} images" in made.notice
    assert len(made.at(0).masks) == 5
    with pytest.raises(TrainingError, match=r"none of the 4 images has a mask of 0\.02% of its area"):
        batches(useless)


def test_empty_masks_and_crowds_of_other_images_are_never_asked_for():
    crowd = dataclasses.replace(SAMPLES[0].annotations[1], id="crowd", crowd=True)
    mixed = with_masks(1, SAMPLES[0].annotations[0], EMPTY, crowd)
    batch = batches([mixed, mixed], masks_per_image=64).at(0)
    assert len(batch.masks) == 2
    assert all(mask.any() for mask in batch.masks)


def test_sixty_four_masks_an_image():
    boxes = [(x, y, x + 8, y + 8) for x in range(0, 64, 8) for y in range(0, 64, 6) if y + 8 <= 64]
    many = sample(1, boxes)
    assert len(boxes) > 64
    batch = batches([many, SAMPLES[1]], masks_per_image=64).at(0)
    assert sorted(np.bincount(batch.image_index)) == [3, 64]


def test_an_image_of_a_shard_that_turns_out_to_have_no_mask_gives_way_to_the_next(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SAMLET_CACHE", str(tmp_path / "cache"))
    nothing = b'{"image": {"width": 8, "height": 6}, "annotations": []}'
    pairs = {f"sa_{n}.jpg": jpeg() for n in range(4)} | {f"sa_{n}.json": nothing for n in range(3)}
    source = open_source([write_shard(tmp_path / "a.tar", pairs | {"sa_3.json": record()})])
    made = batches(source)
    assert made.notice is None
    assert all(len(made.at(step).masks) == 2 for step in range(3))
    hopeless = open_source([write_shard(tmp_path / "b.tar", {f"{n}.jpg": jpeg() for n in range(2)})])
    with pytest.raises(TrainingError, match="100 images in a row have no mask large enough"):
        batches(hopeless).at(0)
