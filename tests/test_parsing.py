"""Photos in, label maps out, over a network that looks at nothing but brightness."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from tests.fake_network import FakeNetwork

from samlet.errors import InputError, ModelError
from samlet.parsing import SemanticSegmenter

NAMES = ("dark", "light")


@pytest.fixture
def segmenter():
    return SemanticSegmenter(FakeNetwork("semantic_segmentation", NAMES))


def halves(height, width):
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :] = 255
    return image


@pytest.mark.parametrize("size_hw", [(64, 128), (100, 300), (300, 100), (1, 5)])
def test_a_label_map_has_the_size_of_the_image(segmenter, size_hw):
    labels = segmenter.parse(halves(*size_hw)).labels
    assert labels.shape == size_hw
    assert segmenter.backend.sizes_hw[0][0] % 32 == segmenter.backend.sizes_hw[0][1] % 32 == 0


def test_each_half_has_its_class(segmenter):
    found = segmenter.parse(halves(64, 128))
    assert found.areas_px() == {"dark": 64 * 64, "light": 64 * 64}
    assert found.to_json()["classes"][1] == {"label": 1, "class": "light", "area_px": 4096, "share": 0.5}


@pytest.mark.parametrize("size_hw", [(64, 64), (50, 40), (200, 333), (97, 1000)])
def test_windows_cover_every_pixel_at_the_images_own_size(segmenter, size_hw):
    labels = segmenter.parse(halves(*size_hw), window=96).labels
    middle = size_hw[1] // 2
    assert (labels[:, : middle - 12] == 0).all()
    assert (labels[:, middle + 12 :] == 1).all()
    assert max(max(size) for size in segmenter.backend.sizes_hw) <= 96


@pytest.mark.parametrize("window", [0, 32, 100, 4096, -64])
def test_a_window_of_another_size_is_refused(segmenter, window):
    with pytest.raises(InputError, match=f"window is {window}: it must be a multiple of 32 from 64 to 2048 pixels"):
        segmenter.parse(halves(64, 64), window=window)


def test_a_long_thin_image_is_sent_to_windows(segmenter):
    image = np.zeros((1, 200_000, 3), np.uint8)
    with pytest.raises(InputError, match=r"200000x1 pixels would be looked at as 12800000x64: give window=64"):
        segmenter.parse(image)


def test_a_classifier_is_no_segmenter():
    with pytest.raises(ModelError, match="use `samlet classify`"):
        SemanticSegmenter(FakeNetwork("classification", NAMES))


def test_it_is_pickled_as_what_makes_it_again(segmenter):
    assert pickle.loads(pickle.dumps(segmenter)).classes.names == NAMES  # noqa: S301
