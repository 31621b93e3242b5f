"""Photos in, classes out, over a network that looks at nothing but brightness."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from tests.fake_network import FakeNetwork

from samlet.classifying import Classifier
from samlet.errors import ImageError, InputError, ModelError

DARK, LIGHT = np.zeros((40, 60, 3), np.uint8), np.full((50, 30, 3), 255, np.uint8)


@pytest.fixture
def classifier():
    return Classifier(FakeNetwork("classification", ("dark", "middle", "light")))


def test_the_surest_class_comes_first_and_probabilities_add_up(classifier):
    dark, light = classifier.classify([DARK, LIGHT], top_k=3)
    assert [dark.top.name, light.top.name] == ["dark", "light"]
    assert sum(score.probability for score in dark.scores) == pytest.approx(1)
    assert dark.to_json()[0] == {
        "index": 0,
        "class": "dark",
        "probability": pytest.approx(dark.top.probability, abs=1e-6),
    }


def test_images_go_through_in_batches_and_stay_in_order(classifier):
    logits = classifier.logits([DARK, LIGHT] * 5, batch_size=4)
    assert classifier.backend.batches == [4, 4, 2]
    np.testing.assert_array_equal(logits, np.tile(classifier.logits([DARK, LIGHT]), (5, 1)))


def test_no_image_is_no_answer(classifier):
    assert classifier.logits([]).shape == (0, 3)
    assert classifier.classify([]) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"), [({"top_k": 0}, "top_k is 0"), ({"batch_size": 0}, "batch_size is 0")]
)
def test_what_makes_no_sense_is_refused(classifier, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        classifier.classify([DARK], **arguments)


def test_a_lone_path_and_a_missing_file_are_refused(classifier, tmp_path):
    with pytest.raises(InputError, match="give a list"):
        classifier.classify("photo.jpg")
    with pytest.raises(ImageError, match=r"nothing\.jpg"):
        classifier.classify([tmp_path / "nothing.jpg"])


def test_more_classes_than_there_are_is_all_of_them(classifier):
    assert len(classifier.classify([DARK], top_k=9)[0].scores) == 3


def test_a_segmenter_is_no_classifier():
    with pytest.raises(ModelError, match="use `samlet parse`"):
        Classifier(FakeNetwork("semantic_segmentation", ("a", "b")))


def test_it_is_pickled_as_what_makes_it_again(classifier):
    again = pickle.loads(pickle.dumps(classifier))  # noqa: S301
    assert again.spec == classifier.spec
