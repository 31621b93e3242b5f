"""Masks of a scene as runs of columns."""

import numpy as np
import pytest

from samlet.geometry.rle import decode, encode
from samlet.geometry.runs import Runs, union


def _random(seed: int, size_hw=(40, 50), share=0.4) -> np.ndarray:
    return np.random.default_rng(seed).random(size_hw) < share


def _whole_columns() -> np.ndarray:
    mask = np.zeros((4, 5), bool)
    mask[:, 1:4] = True
    return mask


@pytest.mark.parametrize(
    "mask",
    [_random(0), _random(1, share=0.9), _whole_columns(), np.ones((3, 2), bool), np.zeros((3, 2), bool)],
    ids=["random", "dense", "whole columns", "all", "none"],
)
def test_a_mask_is_the_same_as_code_runs_and_pixels(mask):
    runs = Runs.of(encode(mask))
    assert runs.area_px == mask.sum()
    assert np.array_equal(runs.window((0, 0, mask.shape[1], mask.shape[0])), mask)
    assert runs.to_rle(mask.shape) == encode(mask)


def test_runs_lie_where_the_scene_has_them():
    mask = _random(2)
    far_xy = (90_000, 120_000)
    runs = Runs.of(encode(mask), far_xy)
    rows, columns = np.nonzero(mask)
    assert runs.box_xyxy == (
        far_xy[0] + columns.min(), far_xy[1] + rows.min(), far_xy[0] + columns.max() + 1, far_xy[1] + rows.max() + 1
    )  # fmt: skip
    assert runs.to_rle(mask.shape, far_xy) == encode(mask)


@pytest.mark.parametrize("box", [(5, 7, 30, 20), (0, 0, 50, 40), (10, 10, 10, 20), (49, 39, 50, 40)])
def test_within_a_box_is_what_the_pixels_have_there(box):
    mask, (left, top, right, bottom) = _random(3), box
    part = Runs.of(encode(mask)).within(box)
    assert part.area_px == mask[top:bottom, left:right].sum()
    assert np.array_equal(part.window(box), mask[top:bottom, left:right])


@pytest.mark.parametrize("box", [(5, 7, 30, 20), (0, 0, 50, 40), (10, 10, 10, 20), (49, 39, 50, 40), (60, 0, 90, 40)])
def test_outside_of_a_box_is_what_is_left(box):
    mask, (left, top, right, bottom) = _random(3), box
    rest = mask.copy()
    rest[top:bottom, left:right] = False
    assert Runs.of(encode(mask)).outside(box).to_rle(mask.shape) == encode(rest)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_union_is_that_of_the_pixels(count):
    masks = [_random(seed, share=0.2) for seed in range(count)]
    joined = union([Runs.of(encode(mask)) for mask in masks])
    expected = np.any([np.zeros((40, 50), bool), *masks], axis=0)
    assert np.array_equal(decode(joined.to_rle((40, 50))), expected)
    assert joined.area_px == expected.sum()


def test_nothing_has_an_empty_box():
    assert Runs.of(encode(np.zeros((4, 4), bool)), (10, 10)).box_xyxy == (0, 0, 0, 0)


@pytest.mark.parametrize("step", [1, 2, 5])
def test_enlarged_each_pixel_is_a_square_of_them(step):
    mask = _random(4)
    enlarged = Runs.of(encode(mask)).enlarged(step)
    assert np.array_equal(enlarged.window((0, 0, 50 * step, 40 * step)), mask.repeat(step, 0).repeat(step, 1))
    assert enlarged.to_rle((40 * step, 50 * step)) == encode(mask.repeat(step, 0).repeat(step, 1))


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_reduced_it_is_what_the_middle_pixels_have(step):
    mask = _random(5, share=0.7)
    middle = mask[step // 2 :: step, step // 2 :: step]
    size_hw = (-(-40 // step), -(-50 // step))
    expected = np.zeros(size_hw, bool)
    expected[: middle.shape[0], : middle.shape[1]] = middle
    assert Runs.of(encode(mask)).reduced(step).to_rle(size_hw) == encode(expected)


def test_moved_it_is_the_same_elsewhere():
    mask = _random(6)
    assert np.array_equal(Runs.of(encode(mask)).moved(1000, 70).window((1000, 70, 1050, 110)), mask)
