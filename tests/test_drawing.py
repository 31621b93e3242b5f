from __future__ import annotations

import numpy as np
import pytest

from samlet.drawing import BACKGROUND_RED, FOREGROUND_GREEN, mask_color, overlay
from samlet.geometry.rle import encode
from samlet.masks import Mask
from samlet.prompts import Prompts

GRAY = np.full((300, 400, 3), 120, np.uint8)


def mask(top: int, left: int, bottom: int, right: int) -> Mask:
    area = np.zeros((300, 400), bool)
    area[top:bottom, left:right] = True
    return Mask(encode(area))


def test_the_image_itself_is_not_touched():
    before = GRAY.copy()
    picture = overlay(GRAY, [mask(50, 50, 200, 200)], Prompts.points([[100, 100]]))
    assert np.array_equal(GRAY, before)
    assert picture.shape == GRAY.shape
    assert picture.dtype == np.uint8


def test_a_mask_is_tinted_and_the_rest_dimmed():
    picture = overlay(GRAY, [mask(50, 50, 200, 200)])
    red, _, blue = picture[120, 120].astype(int)
    assert blue > red  # the first color is a blue
    assert np.argmax(mask_color(0)) == 2
    assert (picture[250, 300] < 120).all()
    outline = picture[45:56, 100]
    assert (np.abs(outline.astype(int) - mask_color(0)).sum(axis=-1) < 30).any()
    assert (outline.min(axis=-1) > 200).any()  # the white edge


@pytest.mark.parametrize("masks", [[], [mask(0, 0, 0, 0)]])
def test_nothing_found_leaves_the_image_as_it_is(masks):
    assert (overlay(GRAY, masks) == GRAY).all()


def test_a_mask_of_everything():
    assert (overlay(GRAY, [mask(0, 0, 300, 400)])[150, 200] != 120).any()


@pytest.mark.parametrize("order", [1, -1])
def test_small_masks_lie_on_large_ones_in_their_own_color(order):
    masks = [mask(20, 20, 280, 380), mask(100, 100, 200, 200)][::order]
    picture = overlay(GRAY, masks).astype(int)
    numbers = (0, 1)[::order]
    for number, pixel in zip(numbers, [picture[50, 300], picture[150, 150]], strict=True):
        assert np.argmax(pixel) == np.argmax(mask_color(number))


def test_points_are_green_and_red_discs_with_a_white_ring():
    picture = overlay(GRAY, [], Prompts.points([[100, 100], [300, 200]], [1, 0]))
    assert tuple(picture[100, 100]) == FOREGROUND_GREEN
    assert tuple(picture[200, 300]) == BACKGROUND_RED
    ring = picture[100, 100:112].min(axis=-1)
    assert ring.max() > 230
    assert tuple(picture[100, 130]) == (120, 120, 120)


def test_a_box_is_framed_and_its_corners_are_no_points():
    picture = overlay(GRAY, [], Prompts.boxes([50, 60, 350, 250]))
    assert (picture[60, 200] != 120).any()
    assert (picture[150, 350] != 120).any()
    assert tuple(picture[150, 200]) == (120, 120, 120)
    assert tuple(picture[70, 60]) == (120, 120, 120)


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 50), (2000, 3)])
def test_any_size(size_hw):
    image = np.zeros((*size_hw, 3), np.uint8)
    everything = Mask(encode(np.ones(size_hw, bool)))
    assert overlay(image, [everything], Prompts.points([[0, 0]])).shape == image.shape


def test_marks_may_lie_on_the_border():
    picture = overlay(GRAY, [], Prompts.stack([Prompts.boxes([0, 0, 400, 300]), Prompts.points([[399, 299]])]))
    assert tuple(picture[299, 399]) == FOREGROUND_GREEN


def test_neighboring_colors_differ():
    colors = np.array([mask_color(number) for number in range(20)])
    assert np.abs(np.diff(colors, axis=0)).max(axis=1).min() > 80
