"""IoU and its averages, with the empty and the border cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samlet.evaluation.metrics import mask_iou, mean, mean_by_size, mean_by_source, size_counts


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
    means = mean_by_source([1.0, 0.0, 0.5, 0.5], ["pets", "coco", "coco", "coco"])
    assert list(means) == ["coco", "pets"]
    assert means == pytest.approx({"coco": 1 / 3, "pets": 1.0})


def test_values_without_partner_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        mean_by_size([0.1, 0.2], [5.0])
    with pytest.raises(ValueError, match="zip"):
        mean_by_source([0.1, 0.2], ["coco"])
