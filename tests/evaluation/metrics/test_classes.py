"""Numbers of classes: sums over a set, whoever measured which image; the empty and the absent class."""

from __future__ import annotations

import numpy as np
import pytest

from samlet.data.classes import IGNORED
from samlet.evaluation.metrics.classes import confusion, measure_images, measure_pixels, summed

TRUTH = np.array([[0, 0, 1], [1, IGNORED, 2]], np.int32)
ANSWER = np.array([[0, 1, 1], [1, 2, 0]], np.uint16)


def test_pixels_are_counted_by_pairs_and_ignored_ones_are_not():
    assert confusion(TRUTH, ANSWER, 3) == ((0, 0, 1), (0, 1, 1), (1, 1, 2), (2, 0, 1))
    assert confusion(TRUTH, ANSWER, 5000) == ((0, 0, 1), (0, 1, 1), (1, 1, 2), (2, 0, 1))  # counted in another way
    assert confusion(np.full((2, 2), IGNORED, np.int32), np.zeros((2, 2), int), 3) == ()


def test_iou_is_of_sums_over_images_not_the_mean_of_images():
    first, second = ((0, 0, 90), (0, 1, 10)), ((1, 0, 5), (1, 1, 5))
    metrics = measure_pixels(summed([first, second], 3), ("a", "b", "c"))
    assert metrics["per_class"]["a"] == {"iou": 90 / 105, "recall": 0.9, "pixels": 100, "taken_for": "b"}
    assert metrics["per_class"]["b"]["iou"] == 5 / 20
    assert metrics["per_class"]["c"] == {"iou": None, "recall": None, "pixels": 0, "taken_for": None}
    assert metrics["miou"] == pytest.approx((90 / 105 + 5 / 20) / 2)
    assert metrics["pixel_accuracy"] == 95 / 110
    assert (summed([second, first], 3) == summed([first], 3) + summed([second], 3)).all()


def test_a_class_that_is_only_answered_counts_as_wrong():
    metrics = measure_pixels(summed([((0, 2, 4),)], 3), ("a", "b", "c"))
    assert metrics["per_class"]["c"]["iou"] == 0.0
    assert metrics["miou"] == 0.0


def test_nothing_has_no_mean():
    metrics = measure_pixels(summed([], 2), ("a", "b"))
    assert (metrics["miou"], metrics["pixel_accuracy"]) == (None, None)
    assert measure_images([], ("a",))["top_1"] is None


def test_hits_among_the_first_and_the_first_five():
    answers = [(0, (0, 1, 2, 3, 4)), (0, (1, 2, 0, 3, 4)), (5, (0, 1, 2, 3, 4)), (5, (1, 5, 2, 3, 4))]
    metrics = measure_images(answers, "abcdefg")
    assert (metrics["top_1"], metrics["top_5"]) == (0.25, 0.75)
    assert metrics["per_class"]["a"] == {"top_1": 0.5, "images": 2, "taken_for": "b"}
    assert metrics["per_class"]["g"] == {"top_1": None, "images": 0, "taken_for": None}
    assert metrics["mean_of_classes"] == 0.25
