"""Masks kept on the disk."""

import numpy as np
import pytest

from samlet.geometry.rle import encode
from samlet.geometry.runs import Runs
from samlet.geometry.windows import Window
from samlet.labeling.rasters.spool import MaskSpool


def _square(left, top, side):
    return Runs.of(encode(np.ones((side, side), bool)), (left, top))


def test_masks_come_back_by_place_the_largest_first_and_the_file_goes(tmp_path):
    with MaskSpool(tmp_path) as spool:
        numbers = [spool.add(_square(*each)) for each in ((0, 0, 3), (5, 5, 10), (90_000, 80_000, 4))]
        assert (numbers, len(spool)) == ([1, 2, 3], 3)
        found = [(number, runs.box_xyxy) for number, runs in spool.in_window(Window(0, 0, 20, 20))]
        assert found == [(2, (5, 5, 15, 15)), (1, (0, 0, 3, 3))]
        ((number, runs),) = spool.in_window(Window(90_003, 80_003, 90_010, 80_010))
        assert (number, runs.area_px) == (3, 16)
        assert list(spool.in_window(Window(3, 0, 5, 3))) == []
        spool.add(_square(3, 0, 1))
        assert [number for number, _ in spool.in_window(Window(3, 0, 5, 3))] == [4]
    assert list(tmp_path.iterdir()) == []


def test_an_empty_mask_has_a_number_and_no_place(tmp_path):
    with MaskSpool(tmp_path) as spool:
        assert spool.add(Runs.of(encode(np.zeros((3, 3), bool)))) == 1
        assert list(spool.in_window(Window(0, 0, 10, 10))) == []


def test_without_masks_nothing_is_found(tmp_path):
    with MaskSpool(tmp_path) as spool:
        assert list(spool.in_window(Window(0, 0, 10, 10))) == []


def test_what_fails_leaves_no_file(tmp_path):
    def failing():
        with MaskSpool(tmp_path) as spool:
            spool.add(_square(0, 0, 3))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert list(tmp_path.iterdir()) == []
