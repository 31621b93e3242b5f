"""Batches for semantic segmentation: pixels and classes move together, what is outside does not count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.data.class_sets import class_map, picture, write_maps

from samlet.data.broken import Broken
from samlet.data.class_maps import open_class_maps
from samlet.data.classes import IGNORED
from samlet.errors import DataError, TrainingError
from samlet.models.registry import get_spec
from samlet.training.batches.class_maps import ClassMapBatches
from samlet.training.batches.sources import open_source
from samlet.training.class_configs import SemanticConfig

SPEC = get_spec("efficientvit-seg-b0-cityscapes").image


def config(**changes):
    values = {"student": "efficientvit-seg-b0-cityscapes", "steps": 10, "batch_size": 4, "canvases": ((1.0, 32),)}
    return SemanticConfig(**{**values, "classes": ("ground", "red", "green"), "color": 0.0, **changes})


@pytest.mark.parametrize("scales", [(0.5, 0.5), (1.0, 1.0), (0.5, 2.0), (3.0, 3.0)])
def test_classes_lie_where_the_colors_are(tmp_path, scales):
    samples = open_class_maps(write_maps(tmp_path, size_wh=(60, 40)), "val").samples
    batch = ClassMapBatches(samples, SPEC, config(scales=scales)).at(0)
    assert batch.pixels.shape == (4, 3, 32, 32)
    assert batch.classes.shape == (4, 32, 32)
    assert batch.classes.dtype == torch.int64
    brightest = batch.pixels.argmax(dim=1)
    for number, channel in ((1, 0), (2, 1)):  # red and green
        found = brightest[batch.classes == number]
        assert not len(found) or (found == channel).float().mean() > 0.9
    outside = batch.classes == IGNORED
    if scales == (0.5, 0.5):  # a half of the canvas high, three quarters wide
        assert outside[:, 16:].all()
        assert not batch.pixels[:, :, 16:].any()


def test_the_same_view_for_the_same_step_and_mirrored_together(tmp_path):
    samples = open_class_maps(write_maps(tmp_path, images=1), "val").samples
    batches = ClassMapBatches(samples, SPEC, config(batch_size=8, scales=(1.0, 1.0)))
    first, again = batches.at(2), batches.at(2)
    assert torch.equal(first.pixels, again.pixels)
    assert torch.equal(first.classes, again.classes)
    left = [bool((classes[:, 0] == 0).any()) for classes in first.classes]
    assert len(set(left)) == 2  # of eight views some are mirrored


def test_what_is_held_out_is_seen_whole(tmp_path):
    samples = open_class_maps(write_maps(tmp_path, images=1), "val").samples
    batch = ClassMapBatches(samples, SPEC, config(batch_size=1), learned=False).at(0)
    inside = batch.classes[0, :21]
    assert (batch.classes[0, 22:] == IGNORED).all()
    assert [int((inside == number).sum()) > 0 for number in range(3)] == [True, True, False]


def test_a_value_that_is_no_class_is_passed_over_or_refused(tmp_path):
    write_maps(tmp_path, images=2)
    values = np.full((16, 24), 9)
    class_map(tmp_path / "labels" / "set_1.png", values)
    samples = open_class_maps(tmp_path, "val").samples
    broken = Broken(1)
    batch = ClassMapBatches(samples, SPEC, config(), broken).at(0)
    assert set(batch.names) == {"set_0"}
    assert "set_1.png has the value 9" in broken.reasons["set_1"]
    with pytest.raises(DataError, match=r"set_1\.png has the value 9"):
        ClassMapBatches(samples, SPEC, config(), Broken(0)).at(0)


def test_images_without_label_maps_are_refused(tmp_path):
    picture(tmp_path / "plain" / "a.png")
    batches = ClassMapBatches(open_source([tmp_path / "plain"]), SPEC, config(batch_size=1))
    with pytest.raises(TrainingError, match="a has no label map"):
        batches.at(0)


@pytest.mark.parametrize("scales", [(0.0, 1.0), (2.0, 1.0)])
def test_scales_that_make_no_sense(scales):
    with pytest.raises(TrainingError, match="scales is"):
        config(scales=scales)
