from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.fake_backend import FakeBackend

from samlet.errors import ImageError
from samlet.predictor import Predictor

pytest.importorskip("napari.components", reason="napari (400 MB with Qt) is not installed")

from napari.components import ViewerModel

from samlet import integrations
from samlet.integrations.napari import MASKS, OFF, ON, ClickSegmenter

PHOTO = np.full((200, 320, 3), 90, np.uint8)


@pytest.fixture
def model():
    return Predictor(FakeBackend())


@pytest.fixture
def viewer():
    return ViewerModel()


def test_a_click_draws_its_mask(viewer, model):
    segmenter = ClickSegmenter(viewer, viewer.add_image(PHOTO), model)
    viewer.layers[ON].add([60, 100])
    expected = model.segment(PHOTO, points=[[100, 60]])[0].to_array()
    assert (viewer.layers[MASKS].data == expected).all()
    viewer.layers[OFF].add([30, 30])
    expected = model.segment(PHOTO, points=[[100, 60], [30, 30]], labels=[1, 0])[0].to_array()
    assert (segmenter.masks.data == expected).all()


def test_objects_stay_when_the_next_begins(viewer, model):
    segmenter = ClickSegmenter(viewer, viewer.add_image(PHOTO), model)
    viewer.layers[ON].add([60, 100])
    segmenter.next_object()
    assert len(viewer.layers[ON].data) == 0
    viewer.layers[ON].add([150, 250])
    assert set(np.unique(segmenter.masks.data)) == {0, 1, 2}


def test_a_point_that_goes_takes_its_mask_along(viewer, model):
    segmenter = ClickSegmenter(viewer, viewer.add_image(PHOTO), model)
    viewer.layers[ON].add([60, 100])
    viewer.layers[ON].data = np.empty((0, 2))
    viewer.layers[OFF].add([60, 100])
    viewer.layers[ON].add([-5, 1000])
    assert not segmenter.masks.data.any()


def test_a_volume_is_refused(viewer, model):
    with pytest.raises(ImageError):
        ClickSegmenter(viewer, viewer.add_image(np.zeros((5, 20, 20), np.float32)), model)


def test_the_manifest_is_sound():
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_file(Path(integrations.__file__).with_name("napari.yaml"))
    assert [command.id for command in manifest.contributions.commands] == ["samlet.click_segmenter"]
    manifest.validate_imports()
