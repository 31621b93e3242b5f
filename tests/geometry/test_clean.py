"""Islands and holes found in run-length codes go or stay as OpenCV finds them in the mask."""

import cv2
import numpy as np
import pytest
from tests.geometry.test_run_regions import MASKS

from samlet.geometry import rle
from samlet.geometry.clean import SHARES, Shares, clean_code, smoothed


def clean_mask(mask, positive_xy=(), negative_xy=(), shares=SHARES):
    return rle.decode(clean_code(rle.encode(mask), positive_xy, negative_xy, shares))


def as_opencv_does(mask, positive, negative, shares=SHARES):
    """The same on pixels."""

    def hit(parts, clicks, count):
        numbers = {int(parts[y, x]) for x, y in clicks}
        return np.array([number in numbers for number in range(1, count + 1)], bool)

    _, parts, statistics, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    areas = statistics[1:, cv2.CC_STAT_AREA]
    if len(areas):
        stays = (areas >= shares.island * areas.max()) | (areas >= shares.island_of_image * mask.size)
        kept = (stays & ~hit(parts, negative, len(areas))) | hit(parts, positive, len(areas))
        if not kept.any():
            kept[areas.argmax()] = True
        mask = np.append(False, kept)[parts]
    _, parts, statistics, _ = cv2.connectedComponentsWithStats((~mask).view(np.uint8), connectivity=4)
    left, top, width, height, areas = statistics[1:].T
    inner = (left > 0) & (top > 0) & (left + width < mask.shape[1]) & (top + height < mask.shape[0])
    small = (areas < shares.hole * np.count_nonzero(mask)) & (areas < shares.hole_of_image * mask.size)
    return mask | np.append(False, inner & small & ~hit(parts, negative, len(areas)))[parts]


@pytest.mark.parametrize("shares", [SHARES, Shares(0.5, 0.02, 0.5, 0.02)], ids=["ours", "larger"])
@pytest.mark.parametrize("name", MASKS)
def test_it_is_what_opencv_finds_in_the_mask(name, shares):
    mask = MASKS[name]
    random = np.random.default_rng(0)
    for clicks in (0, 1, 3, 30):
        positive, negative = random.integers((0, 0), mask.shape[::-1], (2, clicks, 2))
        expected = as_opencv_does(mask, positive, negative, shares)
        np.testing.assert_array_equal(clean_mask(mask, positive, negative, shares), expected)


def test_memory_goes_with_the_runs():
    """A hole and a speck in 100 megapixels: as a picture, with OpenCV's numbers of parts, half a gigabyte."""
    height, width = 10_000, 10_000
    counts = [0, height * width // 2 + 50, 3, height * width // 4, 5 * height, 2]
    code = rle.from_counts([*counts, height * width - sum(counts)], (height, width))
    assert rle.area(clean_code(code)) == rle.area(code) + 3 - 2


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
    cleaned = clean_mask(mask)
    assert cleaned[10, 10]
    assert not cleaned[30:33, 2:5].any()
    assert cleaned[22:37, 40:55].all()
    assert cleaned.sum() == 400 + 225


def test_an_island_that_is_clicked_stays_and_a_part_that_is_not_wanted_goes(mask):
    cleaned = clean_mask(mask, positive_xy=[(3.5, 31.5)], negative_xy=[(50, 30)])
    assert cleaned[31, 3]
    assert not cleaned[22:37, 40:55].any()


def test_a_hole_that_is_clicked_away_stays(mask):
    cleaned = clean_mask(mask, negative_xy=[(10.5, 10.5)])
    assert not cleaned[10:12, 10:12].any()


def test_a_part_with_both_kinds_of_click_stays(mask):
    cleaned = clean_mask(mask, positive_xy=[(42, 24)], negative_xy=[(50, 30)])
    assert cleaned[22:37, 40:55].all()


def test_a_mask_is_never_cleaned_away(mask):
    only = np.zeros_like(mask)
    only[2:4, 2:4] = only[10, 10] = True
    assert clean_mask(only, negative_xy=[(2, 2), (10, 10)]).sum() == 4
    one = np.zeros_like(mask)
    one[5, 5] = True
    np.testing.assert_array_equal(clean_mask(one, negative_xy=[(5, 5)]), one)


def test_holes_by_share_of_mask_and_image(mask):
    assert not clean_mask(mask, shares=Shares(hole=0.001))[10, 10]
    assert not clean_mask(mask, shares=Shares(hole_of_image=0.001))[10, 10]


def test_an_island_large_in_the_image_stays_however_small_beside_the_largest(mask):
    assert clean_mask(mask, shares=Shares(island=1.0, island_of_image=0.003))[31, 3]


def test_an_open_bay_is_no_hole():
    mask = np.ones((20, 20), bool)
    mask[0:2, 5:7] = False
    code = rle.encode(mask)
    assert clean_code(code) is code


@pytest.mark.parametrize("value", [False, True])
def test_nothing_and_everything_stay(value):
    mask = np.full((6, 7), value)
    code = rle.encode(mask)
    assert clean_code(code, [(3, 3)], [(4, 4)]) is code


def test_clicks_outside_of_the_part_that_is_given_say_nothing(mask):
    cleaned = clean_mask(mask, positive_xy=[(-57.0, 31)], negative_xy=[(60, 40), (50, -10)])
    np.testing.assert_array_equal(cleaned, clean_mask(mask))


def test_smoothing_rounds_the_outline(mask):
    mask[24, 25:40] = True  # a hair between two parts
    cleaned = smoothed(mask, 0.05)
    assert not cleaned[24, 30]
    assert cleaned[15, 15]
    assert not cleaned[5, 5]  # a corner
    assert abs(int(cleaned.sum()) - 625) < 40


def test_smoothing_leaves_what_was_clicked(mask):
    assert smoothed(mask, 0.1, positive_xy=[(5, 5)])[5, 5]
    assert not smoothed(mask, 0.1, negative_xy=[(10, 10)])[10, 10]


def test_smoothing_leaves_what_it_would_remove():
    thin = np.zeros((40, 60), bool)
    thin[20, 5:50] = True
    assert smoothed(thin, 0.2) is thin
    assert not smoothed(np.zeros_like(thin), 0.2).any()
    assert smoothed(thin, 0) is thin
