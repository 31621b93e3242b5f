from __future__ import annotations

import numpy as np
import pytest

from samlet.geometry.overlaps import label_map, mask_nms
from samlet.geometry.rle import encode


def rectangle(left, top, right, bottom):
    mask = np.zeros((20, 30), bool)
    mask[top:bottom, left:right] = True
    return encode(mask)


LARGE, PART, COPY, APART = (
    rectangle(0, 0, 20, 20),
    rectangle(5, 5, 10, 10),
    rectangle(0, 0, 20, 19),
    rectangle(22, 0, 30, 5),
)


def test_smaller_masks_lie_on_top_of_a_label_map():
    labels = label_map([PART, LARGE], (20, 30))
    assert labels[7, 7] == 1
    assert labels[0, 0] == 2
    assert labels[0, 25] == 0
    assert labels.dtype == np.int32


def test_a_label_map_of_nothing():
    assert label_map([], (2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("iou", "containment", "kept"),
    [
        (0.7, 1.0, [3, 0, 1]),  # the copy goes
        (1.0, 1.0, [3, 0, 2, 1]),
        (0.7, 0.9, [3, 0]),  # the part lies inside the large one
    ],
)
def test_duplicates_and_parts_go_if_asked_to(iou, containment, kept):
    assert mask_nms([LARGE, PART, COPY, APART], [0.8, 0.7, 0.75, 0.9], iou, containment).tolist() == kept


def test_nothing_to_suppress():
    assert mask_nms([], [], 0.5).tolist() == []
