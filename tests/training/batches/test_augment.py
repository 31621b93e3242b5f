"""Changes of pictures: every one of them, their strengths, and that chance is the caller's."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from samlet.training.batches.augment import CHANGES, erase, rand_augment, random_crop
from samlet.training.batches.views import generator


def photo():
    y, x = np.mgrid[:20, :30]
    x = x + 3 * (x % 2)  # something to sharpen
    return Image.fromarray(np.stack([x * 8, y * 12, x + y], -1).astype(np.uint8))


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_change_keeps_size_and_mode_and_grows_with_its_strength(name, sign):
    before = np.asarray(photo()).astype(int)
    weak, strong = (CHANGES[name](photo(), strength, sign) for strength in (0.0, 1.0))
    assert (weak.size, weak.mode) == (strong.size, strong.mode) == ((30, 20), "RGB")
    by = [np.abs(np.asarray(changed).astype(int) - before).sum() for changed in (weak, strong)]
    assert by[1] > 0
    assert by[0] <= by[1]


def test_no_change_and_the_same_chance():
    assert rand_augment(photo(), generator(0), 0, 9, 0.5) == photo()
    drawn = [rand_augment(photo(), generator(seed), 2, 9, 0.5).tobytes() for seed in (1, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 2


@pytest.mark.parametrize("size_hw", [(20, 30), (1, 1), (1, 500), (300, 2)])
def test_a_crop_lies_in_the_image(size_hw):
    for seed in range(20):
        left, top, right, bottom = random_crop(size_hw, generator(seed), 0.1)
        assert 0 <= left < right <= size_hw[1]
        assert 0 <= top < bottom <= size_hw[0]


def test_a_crop_of_the_whole_area_of_a_square_is_nearly_the_square():
    left, top, right, bottom = random_crop((100, 100), generator(0), 1.0)
    assert (right - left) * (bottom - top) > 7000


def test_erasing_fills_a_rectangle_with_noise():
    pixels = np.zeros((3, 20, 30), np.float32)
    erase(pixels, generator(0))
    rows, columns = np.nonzero(pixels[0])
    assert 0 < len(rows) < 600
    assert len(rows) == len(set(rows)) * len(set(columns))
    tiny = np.zeros((3, 1, 1), np.float32)
    erase(tiny, generator(0))  # nothing fits
    assert not tiny.any()
