"""Classes of a data set as those of a model: by name, by place, and what is refused."""

from __future__ import annotations

import pytest
from tests.data.class_sets import write_classes, write_maps

from samlet.data.class_folders import open_classes
from samlet.data.class_maps import open_class_maps
from samlet.data.classes import IGNORED
from samlet.errors import InputError
from samlet.evaluation.matching_classes import in_classes_of_model
from samlet.evaluation.selection import Selection


def labels(selection):
    return [sample.label for sample in selection.samples]


@pytest.fixture
def images(tmp_path):
    opened = open_classes(write_classes(tmp_path / "set", each=1))
    return Selection(opened.samples, truth=opened.classes)


def test_names_that_the_model_knows(images):
    found = in_classes_of_model(images, ("emu", "dog", "cat"))
    assert labels(found) == [2, 1]
    assert found.truth == ("emu", "dog", "cat")
    assert labels(in_classes_of_model(images, ("cat", "dog"))) == [0, 1]


def test_other_names_but_equally_many(images):
    assert labels(in_classes_of_model(images, ("n01", "n02"))) == [0, 1]


@pytest.mark.parametrize("model", [("cat", "emu"), ("a", "b", "c"), ("cat",)])
def test_what_does_not_fit_is_named(images, model):
    with pytest.raises(InputError, match=rf"has 2 classes and the model {len(model)}, and the model does not know"):
        in_classes_of_model(images, model)


def test_label_maps_are_read_in_the_models_numbers(tmp_path):
    opened = open_class_maps(write_maps(tmp_path, images=2), "val")
    found = in_classes_of_model(Selection(opened.samples, truth=opened.classes), ("green", "x", "ground", "red"))
    first, second = (sample.read_classes()[0] for sample in found.samples)
    assert [int(value) for value in first[[0, 8, -1]]] == [2, 3, IGNORED]
    assert [int(value) for value in second[[0, 8, -1]]] == [2, 0, IGNORED]
    assert found.samples[0].coding is found.samples[1].coding  # one for all
