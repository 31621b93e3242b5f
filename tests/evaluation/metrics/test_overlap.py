"""IoU and its averages, with the empty and the border cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samlet.evaluation.metrics.overlap import (
    boundary_iou,
    mask_iou,
    mean,
    mean_by_group,
    mean_by_size,
    pieces,
    size_counts,
)


def mask(*ones: tuple[int, int]) -> np.ndarray:
    array = np.zeros((2, 3), bool)
    for row, column in ones:
        array[row, column] = True
    return array


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (mask(), mask(), 0.0),  # both empty: the official code divides by 1e-7
        (mask((0, 0)), mask(), 0.0),
        (mask((0, 0)), mask((1, 1)), 0.0),  # disjoint
        (mask((0, 0), (0, 1)), mask((0, 0), (0, 1)), 1.0),
        (mask((0, 0), (0, 1)), mask((0, 1), (0, 2)), 1 / 3),
        (mask((0, 0)), ~mask(), 1 / 6),
    ],
)
def test_mask_iou(first: np.ndarray, second: np.ndarray, expected: float) -> None:
    assert mask_iou(first, second) == pytest.approx(expected, abs=1e-12)
    assert mask_iou(second, first) == mask_iou(first, second)


def blocks(*corners: tuple[int, int, int, int], size_hw: tuple[int, int] = (60, 80)) -> np.ndarray:
    array = np.zeros(size_hw, bool)
    for top, left, bottom, right in corners:
        array[top:bottom, left:right] = True
    return array


def boundary_by_hand(mask: np.ndarray, reach_px: int) -> np.ndarray:
    """Pixel by pixel: is there something outside the mask, or the image's border, within a square of the reach?"""
    outside = np.pad(~mask, reach_px, constant_values=True)
    side = 2 * reach_px + 1
    near = [[outside[y : y + side, x : x + side].any() for x in range(mask.shape[1])] for y in range(mask.shape[0])]
    return mask & np.array(near)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (blocks(), blocks()),
        (blocks((5, 5, 6, 6)), blocks()),
        (blocks((5, 5, 6, 6)), blocks((5, 5, 6, 6))),
        (blocks((10, 10, 50, 60)), blocks((10, 10, 50, 60), (30, 30, 31, 31))),
        (blocks((10, 10, 50, 60)), blocks((12, 11, 50, 70))),
        (blocks((0, 0, 60, 80)), blocks((0, 0, 60, 40))),  # the image's border is a boundary
        (blocks((0, 0, 30, 30), (40, 20, 60, 80)), blocks((0, 5, 35, 30), (40, 20, 55, 70))),
    ],
)
def test_boundary_iou(first: np.ndarray, second: np.ndarray) -> None:
    reach_px = 2  # 0.02 of the diagonal, 100 px
    expected = mask_iou(boundary_by_hand(first, reach_px), boundary_by_hand(second, reach_px))
    assert boundary_iou(first, second) == expected
    assert boundary_iou(second, first) == expected


def test_a_hole_costs_the_boundary_more_than_the_mask() -> None:
    whole, holed = blocks((5, 5, 55, 75)), blocks((5, 5, 55, 75))
    holed[25:35, 30:45] = False
    assert mask_iou(whole, holed) > 0.95
    assert boundary_iou(whole, holed) < 0.85


def test_a_boundary_is_never_thinner_than_a_pixel() -> None:
    tiny = np.ones((3, 3), bool)
    one_pixel_less = tiny.copy()
    one_pixel_less[1, 1] = False
    assert boundary_iou(tiny, one_pixel_less) == 1.0  # of 9 pixels only the 8 outer ones count


def test_the_mean_of_nothing_is_no_number() -> None:
    assert mean([]) is None
    assert mean([0.25, 0.75]) == 0.5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_the_order_does_not_change_the_last_digit(values: list[float], random) -> None:
    shuffled = random.sample(values, len(values))
    assert mean(shuffled) == mean(values)


def test_borders_belong_to_both_buckets() -> None:
    values, areas_px = [0.1, 0.2, 0.3, 0.4], [1023, 1024, 9216, 9217]
    means = mean_by_size(values, areas_px)
    assert means == pytest.approx({"all": 0.25, "small": 0.15, "medium": 0.25, "large": 0.35})
    assert size_counts(areas_px) == {"all": 4, "small": 2, "medium": 2, "large": 2}


def test_an_empty_bucket_is_none() -> None:
    assert mean_by_size([0.5], [1.0]) == {"all": 0.5, "small": 0.5, "medium": None, "large": None}
    assert mean_by_size([], []) == {"all": None, "small": None, "medium": None, "large": None}


def test_sources_weigh_by_their_own_instances() -> None:
    means = mean_by_group([1.0, 0.0, 0.5, 0.5], ["pets", "coco", "coco", "coco"])
    assert list(means) == ["coco", "pets"]
    assert means == pytest.approx({"coco": 1 / 3, "pets": 1.0})


def test_values_without_partner_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        mean_by_size([0.1, 0.2], [5.0])
    with pytest.raises(ValueError, match="zip"):
        mean_by_group([0.1, 0.2], ["coco"])


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (mask(), 0),
        (mask((0, 0)), 1),
        (mask((0, 0), (0, 2)), 2),
        (mask((0, 0), (1, 1)), 1),  # corners touch
        (~mask(), 1),
    ],
)
def test_pieces(array: np.ndarray, expected: int) -> None:
    assert pieces(array) == expected


def test_pieces_anywhere_in_a_large_mask() -> None:
    array = np.zeros((300, 400), bool)
    array[5:9, 390:400] = array[290:300, :4] = array[100:200:2, 200] = True
    assert pieces(array) == 52
