from __future__ import annotations

import numpy as np
import pytest

from samlet.errors import PromptError
from samlet.prompts import ABSENT_LABEL
from samlet.sam_api.prompts import PromptBatch, as_array, one_box

POINTS = np.array([[[3.0, 4.0], [-5.0, 2000.0]]])  # outside the image: legal here
LABELS = np.array([[1.0, 0.0]])
BOXES = np.array([[1.0, 2.0, 30.0, 40.0]])
HINT = np.ones((1, 1, 256, 256))


@pytest.mark.parametrize(
    ("given", "points_xy", "labels"),
    [
        (
            {"points_xy": POINTS, "labels": LABELS},
            [[3, 4], [-5, 2000], [0, 0]],
            [1, 0, -1],
        ),  # padded, as there is no box
        ({"boxes_xyxy": BOXES}, [[1, 2], [30, 40]], [2, 3]),
        (
            {"points_xy": POINTS, "labels": LABELS, "boxes_xyxy": BOXES},
            [[3, 4], [-5, 2000], [1, 2], [30, 40]],
            [1, 0, 2, 3],
        ),
        ({"points_xy": POINTS, "labels": np.array([[1.0, -1.0]])}, [[3, 4], [-5, 2000], [0, 0]], [1, -1, -1]),
        ({"points_xy": np.zeros((1, 0, 2)), "labels": np.zeros((1, 0))}, [[0, 0]], [-1]),  # no point is padding alone
        ({"mask_hint": HINT}, [[0, 0]], [ABSENT_LABEL]),
        ({}, [[0, 0]], [ABSENT_LABEL]),
    ],
)
def test_tokens_of_one_prompt(given, points_xy, labels):
    batch = PromptBatch(**given)
    places, meanings = batch.tokens().points_xy, batch.tokens().labels
    assert len(batch) == 1
    assert places.tolist() == [points_xy]
    assert meanings.tolist() == [labels]
    assert (places.dtype, meanings.dtype) == (np.float32, np.int64)


def test_one_mask_hint_serves_every_box():
    hint = PromptBatch(boxes_xyxy=np.repeat(BOXES, 3, axis=0), mask_hint=HINT).tokens().mask_hint
    assert hint.shape == (3, 256, 256)
    assert hint.dtype == np.float32


def test_mask_hints_alone_are_as_many_prompts():
    batch = PromptBatch(mask_hint=np.repeat(HINT, 2, axis=0))
    assert len(batch) == len(batch.tokens()) == len(batch.tokens().mask_hint) == 2


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"points_xy": POINTS}, "go together"),
        ({"labels": LABELS}, "go together"),
        ({"points_xy": POINTS[0], "labels": LABELS}, "do not fit"),
        ({"points_xy": POINTS, "labels": LABELS[:, :1]}, "do not fit"),
        ({"points_xy": np.zeros((1, 2, 3)), "labels": LABELS}, "do not fit"),
        ({"points_xy": POINTS, "labels": np.array([[1.0, 2.0]])}, "label is 2"),
        ({"boxes_xyxy": BOXES[0]}, "Boxes have the shape"),
        ({"boxes_xyxy": np.zeros((2, 2))}, "Boxes have the shape"),
        ({"mask_hint": np.zeros((1, 256, 256))}, "mask_input"),
        ({"mask_hint": np.zeros((1, 1, 64, 64))}, "mask_input"),
        (
            {"points_xy": POINTS, "labels": LABELS, "boxes_xyxy": np.repeat(BOXES, 2, axis=0)},
            "1 prompts by points and 2",
        ),
        ({"boxes_xyxy": BOXES, "mask_hint": np.repeat(HINT, 2, axis=0)}, "2 prompts by mask_input"),
    ],
)
def test_what_does_not_fit_is_refused(given, sentence):
    with pytest.raises(PromptError, match=sentence):
        PromptBatch(**given)


@pytest.mark.parametrize("values", [[[1, 2], [3]], ["left"], [[np.nan, 1]], [[1, np.inf]]])
def test_what_is_not_finite_numbers_is_refused(values):
    with pytest.raises(PromptError, match="points"):
        as_array(values, "points")


@pytest.mark.parametrize("box", [[1, 2, 3, 4], [[1, 2, 3, 4]], (1, 2, 3, 4)])
def test_a_box_may_be_wrapped(box):
    assert one_box(box).reshape(-1).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("box", [[1, 2, 3], [[1, 2, 3, 4], [5, 6, 7, 8]], []])
def test_several_boxes_are_for_predict_torch(box):
    with pytest.raises(PromptError, match="predict_torch"):
        one_box(box)
