import hashlib

import cv2
import numpy as np
import pytest
from tests import filler, official

from samlet.geometry import regions

AMG = official.numbers("amg")


def smoothed(side):
    """The fixtures' logits: noise under a box filter with zeros around."""
    noise = filler.array("mask_input", 1, 256, 256)[0]
    return cv2.boxFilter(noise, cv2.CV_32F, (side, side), borderType=cv2.BORDER_CONSTANT)


@pytest.fixture
def speckled():
    return smoothed(17)[:96, :128] > 0.02


@pytest.mark.parametrize(("offset", "expected"), AMG["stability"].items())
def test_stability_score(offset, expected):
    logits = smoothed(9) * 9
    scores = regions.stability_score(np.stack([logits, 3 * logits, logits + 1, -logits]), offset=float(offset))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=2e-4)  # the filter's rounding moves single pixels


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([[5.0, 5.0], [-5.0, -5.0]], 1.0),
        ([[5.0, 0.0], [-5.0, -5.0]], 0.5),
        ([[0.5, 0.0], [-5.0, -5.0]], 0.0),  # nothing survives the higher threshold
        ([[-5.0, -5.0], [-5.0, -5.0]], 0.0),  # nothing at all: 0, not a division by zero
    ],
)
def test_stability_score_by_hand(logits, expected):
    assert regions.stability_score(np.array(logits)) == expected


def test_stability_score_around_another_threshold():
    assert regions.stability_score(np.array([[12.0, 10.5, 3.0]]), threshold=10) == 0.5


@pytest.mark.parametrize(("name", "expected"), AMG["small_regions"].items())
def test_remove_small_regions(name, expected, speckled):
    mode, area_px = name.split(",")
    mask, changed = regions.remove_small_regions(speckled, int(area_px), mode)
    assert changed == expected["changed"]
    assert mask.sum() == expected["pixels"]
    assert hashlib.sha256(mask.tobytes()).hexdigest()[:16] == expected["sha"]


MASKS = {
    "ring": ["#####..", "#...#..", "#####..", ".......", "......."],
    "dots": ["##...", "##..#", ".....", "#....", "....."],
    "diagonal": ["#....", ".#...", "..#..", ".....", "....."],
    "empty": ["....."] * 5,
    "full": ["#####"] * 5,
}


def picture(rows):
    return np.array([[character == "#" for character in row] for row in rows])


@pytest.mark.parametrize(
    ("name", "mode", "area_px", "expected"),
    [
        ("ring", "holes", 4, ["#####..", "#####..", "#####..", ".......", "......."]),
        ("ring", "holes", 3, None),
        ("dots", "islands", 2, ["##...", "##...", ".....", ".....", "....."]),
        ("dots", "islands", 100, ["##...", "##...", ".....", ".....", "....."]),  # all small: the largest stays
        ("diagonal", "islands", 3, None),  # corners connect
        ("empty", "islands", 100, None),
        ("full", "holes", 100, None),
        ("dots", "islands", 0, None),
    ],
)
def test_remove_small_regions_by_hand(name, mode, area_px, expected):
    original = picture(MASKS[name])
    mask, changed = regions.remove_small_regions(original, area_px, mode)
    assert changed == (expected is not None)
    np.testing.assert_array_equal(mask, original if expected is None else picture(expected))


def test_remove_small_regions_leaves_its_argument_alone(speckled):
    before = speckled.copy()
    regions.remove_small_regions(speckled, 200, "islands")
    np.testing.assert_array_equal(speckled, before)


def test_uncrop_masks():
    case = AMG["uncrop"]
    whole = regions.uncrop_masks(np.ones((1, 60, 40), bool), case["crop_box"], (100, 90))
    assert whole.dtype == bool
    assert filler.difference(whole, case["mask"]) < 1e-6
