"""Batches for classification: targets, mixing, sizes, repeats, and that they depend on the seed and the step alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.data.class_sets import picture, write_classes

from samlet.data.class_folders import open_classes
from samlet.errors import TrainingError
from samlet.models.registry import get_spec
from samlet.training.batches import images
from samlet.training.batches.images import ImageBatches, mix, smoothed
from samlet.training.batches.sources import open_source
from samlet.training.batches.views import generator
from samlet.training.class_configs import ClassifyConfig

SPEC = get_spec("efficientvit-b0").image


def config(**changes):
    values = {
        "student": "efficientvit-b0",
        "steps": 10,
        "batch_size": 4,
        "canvases": ((1.0, 16),),
        "classes": ("cat", "dog"),
    }
    return ClassifyConfig(**{**values, **changes})


@pytest.fixture
def samples(tmp_path):
    return open_classes(write_classes(tmp_path)).samples


def test_targets_are_smoothed_and_sum_to_one(samples):
    batch = ImageBatches(samples, SPEC, config(label_smoothing=0.2)).at(3)
    assert batch.pixels.shape == (4, 3, 16, 16)
    assert batch.pixels.dtype == batch.targets.dtype == torch.float32
    assert torch.allclose(batch.targets.sum(1), torch.ones(4))
    assert sorted(set(batch.targets.flatten().tolist())) == pytest.approx([0.1, 0.9])
    assert batch.progress == 0.3
    wanted = [0 if name.startswith("cat") else 1 for name in batch.names]
    assert batch.targets.argmax(1).tolist() == wanted


def test_the_same_batch_again_and_another_at_another_step(samples):
    settings = config(mixup=0.5, cutmix=0.5, rand_augment=(2, 9, 0.5), erase=0.5)
    first, again, other = (ImageBatches(samples, SPEC, settings).at(step) for step in (1, 1, 2))
    assert torch.equal(first.pixels, again.pixels)
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.pixels, other.pixels)


def test_sizes_are_drawn_for_each_step_alike_for_all_its_parts(samples):
    settings = config(sizes=(16, 24, 32), grad_accum_steps=2, canvases=((1.0, 64),))
    batches = ImageBatches(samples, SPEC, settings)
    sides = [[batches.at(step, part).pixels.shape[2] for part in (0, 1)] for step in range(10)]
    assert all(a == b for a, b in sides)
    assert {a for a, _ in sides} == {16, 24, 32}
    assert settings.largest_canvas == 32


def test_repeats_show_an_image_in_a_row_in_other_views(samples):
    batch = ImageBatches(samples, SPEC, config(repeats=2, min_area=0.2)).at(0)
    assert batch.names[0] == batch.names[1] != batch.names[2] == batch.names[3]
    assert not torch.equal(batch.pixels[0], batch.pixels[1])


def test_what_is_held_out_is_seen_as_in_use(samples):
    settings = config(mixup=0.5, label_smoothing=0.3, rand_augment=(2, 9, 0.5))
    first, later = (ImageBatches(samples, SPEC, settings, learned=False).at(0) for _ in range(2))
    assert torch.equal(first.pixels, later.pixels)
    assert set(first.targets.flatten().tolist()) == {0.0, 1.0}


def test_the_middle_is_cut_as_the_spec_says(tmp_path):
    picture(tmp_path / "cat" / "a.png", (24, 16))
    sample = open_classes(tmp_path).samples[0]
    view = images.middle(sample.read_image(), 16, replace(SPEC, crop_ratio=1.0))
    assert view.shape == (16, 16, 3)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixing_adds_the_other_end_of_the_batch_in_the_shares_of_the_targets(kind):
    pixels = torch.zeros(2, 3, 20, 20)
    pixels[1] = 1
    targets = torch.eye(2)
    settings = config(**{kind: 1.0})
    for seed in range(8):
        mixed, shares = mix(pixels, targets, settings, generator(seed))
        assert torch.allclose(shares.sum(1), torch.ones(2))
        assert mixed[0].mean().item() == pytest.approx(shares[0, 1].item(), abs=1e-5)
        if kind == "cutmix":
            assert set(mixed.flatten().tolist()) <= {0.0, 1.0}
    assert not pixels[0].any()  # the batch itself stays


def test_no_mixing_by_chance_or_alone(samples):
    pixels, targets = torch.rand(2, 3, 8, 8), torch.eye(2)
    mixed, shares = mix(pixels, targets, config(mixup=1.0, mix_share=0.0), generator(0))
    assert torch.equal(mixed, pixels)
    assert torch.equal(shares, targets)
    alone = ImageBatches(samples, SPEC, config(mixup=1.0, batch_size=1, label_smoothing=0)).at(0)
    assert alone.targets.max() == 1


def test_a_class_that_the_model_has_not(samples):
    with pytest.raises(TrainingError, match="is of class 1, but the model has 1 classes"):
        smoothed(torch.tensor([0, 1]), 1, 0.1)


def test_images_without_classes_are_refused(tmp_path):
    picture(tmp_path / "plain" / "a.png")
    batches = ImageBatches(open_source([tmp_path / "plain"]), SPEC, config(batch_size=1))
    with pytest.raises(TrainingError, match="a has no class"):
        batches.at(0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"loss": "mse"}, "loss is 'mse': use cross-entropy, bce"),
        ({"distill": "warm"}, "distill is 'warm': use soft, hard"),
        ({"resampling": ("cubic",)}, "resampling is .*: use nearest"),
        ({"resampling": ()}, "resampling is"),
        ({"rand_augment": (2,)}, "rand_augment is"),
        ({"repeats": 0}, "repeats is 0"),
        ({"min_area": 0}, "min_area 0"),
        ({"temperature": 0}, "temperature 0"),
        ({"mixup": -1}, "mixup, cutmix, mesa"),
        ({"mesa": 1.0, "fsdp": True}, "mesa asks the averaged weights as a whole"),
        ({"drop_path": 1}, "drop_path is below 1"),
        ({"label_smoothing": 1.5}, "label_smoothing is 1.5: give at least 0 and at most 1"),
        ({"erase": np.nan}, "erase is nan"),
    ],
)
def test_numbers_that_make_no_sense(changes, sentence):
    with pytest.raises(TrainingError, match=sentence):
        config(**changes)
