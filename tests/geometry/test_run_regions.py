"""Regions found in run-length codes are those that OpenCV finds in the mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tests import filler

from samlet.geometry import regions, rle
from samlet.geometry.run_regions import remove_small_regions

NOISE = filler.array("mask_input", 1, 256, 256)[0]
MASKS = {
    "specks": NOISE[:40, :57] > 0.5,
    "holes": NOISE[:57, :40] > -0.7,
    "blobs": cv2.blur(NOISE, (9, 9))[:96, :128] > 0.02,
    "one column": NOISE[:, :1] > 0,
    "one row": NOISE[:1] > 0,
    "one pixel": np.ones((1, 1), bool),
    "empty": np.zeros((5, 7), bool),
    "full": np.ones((5, 7), bool),
    "corners": np.eye(9, dtype=bool) | np.eye(9, dtype=bool)[::-1],
    "comb": np.tile(np.arange(40) % 2 == 0, (30, 1)) | (np.arange(30) == 29)[:, None],
    "equal islands": np.indices((9, 9)).max(axis=0) % 4 < 2,
}


@pytest.mark.parametrize("mode", ["holes", "islands"])
@pytest.mark.parametrize("name", MASKS)
def test_they_are_those_of_the_mask(name, mode):
    mask = MASKS[name]
    for area_px in (1, 2, 5, 20, 100, 10_000):
        expected, changed = regions.remove_small_regions(mask, area_px, mode)
        code, ours = remove_small_regions(rle.encode(mask), area_px, mode)
        assert ours == changed
        np.testing.assert_array_equal(rle.decode(code), expected)
        assert code == rle.encode(expected)


def test_of_equal_islands_the_first_row_by_row_stays():
    mask = np.zeros((6, 6), bool)
    mask[4:, :2] = mask[:2, 4:] = True
    code, changed = remove_small_regions(rle.encode(mask), 100, "islands")
    mask[4:] = False
    assert changed
    np.testing.assert_array_equal(rle.decode(code), mask)


def test_memory_goes_with_the_runs():
    """A mask of 100 megapixels with a hole and a speck: as a picture it would take minutes in a test, and 1 GB."""
    height, width = 10_000, 10_000
    counts = [0, height * width // 2 + 50, 3, height * width // 4, 5 * height, 2]
    code = rle.from_counts([*counts, height * width - sum(counts)], (height, width))
    filled, _ = remove_small_regions(code, 5, "holes")
    whole, _ = remove_small_regions(filled, 5, "islands")
    assert rle.area(filled) == rle.area(code) + 3
    assert rle.area(whole) == rle.area(filled) - 2
