from __future__ import annotations

import pytest

from samlet.classes import ClassList, class_list, read_class_list
from samlet.errors import ModelError


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("imagenet-1k", 1000, "tench", "toilet tissue"),
        ("cityscapes", 19, "road", "bicycle"),
        ("ade20k", 150, "wall", "flag"),
    ],
)
def test_lists_of_data_sets(name, count, first, last):
    classes = class_list(name)
    assert (len(classes), classes.names[0], classes.names[-1], classes.name) == (count, first, last, name)
    assert ClassList.from_json(classes.to_json()) == classes


def test_a_list_of_your_own(tmp_path):
    file = tmp_path / "pets.txt"
    file.write_text("cat\t255 0 0\n\nlarge dog\t0 0 255\n", encoding="utf-8")
    assert read_class_list(file) == ClassList("pets", ("cat", "large dog"), ((255, 0, 0), (0, 0, 255)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "are 0: a model has 1 to"),
        ("cat\ncat\n", 'Two of the classes pets are called "cat"'),
        ("cat\t1 2\n", 'has the color "1 2": give R G B'),
        ("cat\t1 2 300\n", 'has the color "1 2 300"'),
        ("cat\t1 2 3\ndog\n", "are not 2 times R, G, B"),
    ],
)
def test_a_damaged_list_is_refused(tmp_path, text, sentence):
    file = tmp_path / "pets.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=sentence):
        read_class_list(file)


def test_a_missing_list_and_records_that_are_none(tmp_path):
    with pytest.raises(ModelError, match="There is no list of classes at"):
        read_class_list(tmp_path / "none.txt")
    for record in (None, {}, {"name": "a", "names": [1]}, {"name": "a", "names": ["x"], "colors": [[1, 2]]}):
        with pytest.raises(ModelError):
            ClassList.from_json(record)
