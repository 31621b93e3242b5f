from __future__ import annotations

import numpy as np
import pytest

from samlet.geometry.frames import ImageFrame
from samlet.geometry.patches import Patch
from samlet.geometry.tally import Tally

FRAME = ImageFrame((120, 200), 1024, 1024)
CORNERS = np.array([[0.0, 0.0], [199.9, 0.0], [0.0, 119.9], [199.9, 119.9]])


def patch(left, top, right, bottom):
    """Of a mask over these pixels of the picture, each end outside of it."""
    logits = np.full((256, 256), -5, np.float32)
    step = 256 / 200
    logits[int(top * step) : int(bottom * step), int(left * step) : int(right * step)] = 5
    return Patch.cut(logits, FRAME, -1.0)


def test_masks_of_other_clicks_count_where_they_lie():
    tally = Tally.over(FRAME.low_res_hw)
    tally.add(3, patch(0, 0, 60, 30))
    tally.add(7, patch(0, 0, 100, 30))
    assert tally.at(CORNERS, FRAME.size_hw).tolist() == [2, 0, 0, 0]
    assert tally.at(np.array([[30.0, 20.0], [80.0, 20.0], [50.0, 90.0]]), FRAME.size_hw).tolist() == [2, 1, 0]


def test_masks_of_one_click_count_once():
    tally = Tally.over(FRAME.low_res_hw)
    tally.add(3, patch(0, 0, 50, 30))
    tally.add(3, patch(0, 0, 60, 40))
    assert tally.clicks.max() == 1
    assert tally.at(np.array([[55.0, 35.0]]), FRAME.size_hw) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_large_masks_count_less_and_of_one_click_the_one_that_counts_most(order):
    masks = [patch(0, 0, 200, 96), patch(0, 0, 60, 30)]  # 0.8 of the picture
    tally = Tally.over(FRAME.low_res_hw)
    for place in order:
        tally.add(5, masks[place])
    assert tally.at(np.array([[30.0, 20.0], [150.0, 50.0]]), FRAME.size_hw) == pytest.approx([1, 1 / 64], rel=0.05)


def test_a_mask_that_reaches_over_the_picture_counts_on_it_only():
    tally = Tally.over(FRAME.low_res_hw)
    logits = np.full((256, 256), 5, np.float32)  # on the canvas's padding too
    tally.add(0, Patch.cut(logits, FRAME, -1.0))
    assert (tally.clicks == np.float32(0.2**3)).all()


def test_an_empty_mask_counts_nowhere():
    tally = Tally.over(FRAME.low_res_hw)
    tally.add(0, Patch.cut(np.full((256, 256), -5, np.float32), FRAME, -1.0))
    assert not tally.clicks.any()
