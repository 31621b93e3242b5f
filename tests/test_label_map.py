from __future__ import annotations

import numpy as np
import pytest

from samlet.classes import ClassList
from samlet.errors import InputError
from samlet.label_map import LabelMap

CLASSES = ClassList("pets", ("cat", "dog", "none"))


def test_areas_are_counted_largest_first():
    labels = LabelMap(np.array([[2, 2, 2], [0, 0, 2]], np.uint16), CLASSES)
    assert list(labels.areas_px().items()) == [("none", 4), ("cat", 2)]
    assert labels.to_json()["size_hw"] == [2, 3]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.full((2, 2), 3, np.uint16), "The label 3 is none of the 3 classes pets"),
        (np.zeros((0, 3), np.uint16), "with a pixel"),
    ],
)
def test_what_is_no_label_map_is_refused(labels, sentence):
    with pytest.raises(InputError, match=sentence):
        LabelMap(labels, CLASSES)
