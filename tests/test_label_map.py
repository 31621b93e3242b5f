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


def test_an_overlay_is_the_image_under_its_classes_with_a_legend():
    image = np.full((60, 90, 3), 100, np.uint8)
    labels = np.zeros((60, 90), np.uint16)
    labels[:, 45:] = 2
    found = LabelMap(labels, CLASSES)
    picture = found.overlay(image)
    assert picture.shape[0] == 60
    assert picture.shape[1] > 90
    assert (picture[0, 0] != picture[0, 89]).any()
    assert (picture[:, 90:] != 255).any(), "a legend with colors and names"
    assert found.palette.shape == (3, 3)


def test_an_image_of_another_size_is_refused():
    with pytest.raises(InputError, match="The label map has 3x2 pixels, the image 4x2"):
        LabelMap(np.zeros((2, 3), np.uint16), CLASSES).overlay(np.zeros((2, 4, 3), np.uint8))


def test_the_smallest_image_has_an_overlay_too():
    assert LabelMap(np.zeros((1, 1), np.uint16), CLASSES).overlay(np.zeros((1, 1, 3), np.uint8)).shape[0] == 1
