import numpy as np
import pytest

from samlet.geometry.clean import Shares, clean_mask

IMAGE_PX = 40 * 60


@pytest.fixture
def mask():
    """A part of 20 x 20 with a hole of 2 x 2, an island of 3 x 3 and one of 15 x 15."""
    mask = np.zeros((40, 60), bool)
    mask[5:25, 5:25] = True
    mask[10:12, 10:12] = False
    mask[30:33, 2:5] = True
    mask[22:37, 40:55] = True
    return mask


def test_small_islands_go_and_small_holes_are_filled(mask):
    cleaned = clean_mask(mask, IMAGE_PX)
    assert cleaned[10, 10]
    assert not cleaned[30:33, 2:5].any()
    assert cleaned[22:37, 40:55].all()
    assert cleaned.sum() == 400 + 225


def test_an_island_that_is_clicked_stays_and_a_part_that_is_not_wanted_goes(mask):
    cleaned = clean_mask(mask, IMAGE_PX, positive_xy=[(3.5, 31.5)], negative_xy=[(50, 30)])
    assert cleaned[31, 3]
    assert not cleaned[22:37, 40:55].any()


def test_a_hole_that_is_clicked_away_stays(mask):
    cleaned = clean_mask(mask, IMAGE_PX, negative_xy=[(10.5, 10.5)])
    assert not cleaned[10:12, 10:12].any()


def test_a_part_with_both_kinds_of_click_stays(mask):
    cleaned = clean_mask(mask, IMAGE_PX, positive_xy=[(42, 24)], negative_xy=[(50, 30)])
    assert cleaned[22:37, 40:55].all()


def test_a_mask_is_never_cleaned_away(mask):
    only = np.zeros_like(mask)
    only[2:4, 2:4] = only[10, 10] = True
    assert clean_mask(only, IMAGE_PX, negative_xy=[(2, 2), (10, 10)]).sum() == 4
    one = np.zeros_like(mask)
    one[5, 5] = True
    assert clean_mask(one, IMAGE_PX, negative_xy=[(5, 5)]) is one


def test_holes_by_share_of_mask_and_image(mask):
    assert not clean_mask(mask, IMAGE_PX, shares=Shares(hole=0.001))[10, 10]
    assert not clean_mask(mask, IMAGE_PX, shares=Shares(hole_of_image=0.001))[10, 10]


def test_an_island_large_in_the_image_stays_however_small_beside_the_largest(mask):
    assert clean_mask(mask, IMAGE_PX, shares=Shares(island=1.0, island_of_image=0.003))[31, 3]


def test_an_open_bay_is_no_hole():
    mask = np.ones((20, 20), bool)
    mask[0:2, 5:7] = False
    assert clean_mask(mask, 400) is mask


@pytest.mark.parametrize("value", [False, True])
def test_nothing_and_everything_stay(value):
    mask = np.full((6, 7), value)
    assert clean_mask(mask, 42, [(3, 3)], [(4, 4)]) is mask


def test_clicks_outside_of_the_part_that_is_given_say_nothing(mask):
    cleaned = clean_mask(mask, IMAGE_PX, positive_xy=[(-57.0, 31)], negative_xy=[(60, 40), (50, -10)])
    np.testing.assert_array_equal(cleaned, clean_mask(mask, IMAGE_PX))


def test_smoothing_rounds_the_outline(mask):
    mask[24, 25:40] = True  # a hair between two parts
    cleaned = clean_mask(mask, IMAGE_PX, smooth=0.05)
    assert not cleaned[24, 30]
    assert cleaned[15, 15]
    assert not cleaned[5, 5]  # a corner
    assert abs(int(cleaned.sum()) - 625) < 40


def test_smoothing_leaves_what_was_clicked(mask):
    assert clean_mask(mask, IMAGE_PX, positive_xy=[(5, 5)], smooth=0.1)[5, 5]
    assert not clean_mask(mask, IMAGE_PX, negative_xy=[(10, 10)], smooth=0.1)[10, 10]


def test_smoothing_leaves_what_it_would_remove():
    thin = np.zeros((40, 60), bool)
    thin[20, 5:50] = True
    np.testing.assert_array_equal(clean_mask(thin, IMAGE_PX, smooth=0.2), thin)
    assert not clean_mask(np.zeros_like(thin), IMAGE_PX, smooth=0.2).any()
