"""Label maps: the layouts that are read, values that are no class, sizes that differ."""

from __future__ import annotations

import numpy as np
import pytest
from tests.data.class_sets import class_map, picture, write_maps

from samlet.data.class_maps import CITYSCAPES, open_class_maps
from samlet.data.classes import IGNORED, Coding
from samlet.errors import DataError


def test_a_folder_of_images_and_labels(tmp_path):
    opened = open_class_maps(write_maps(tmp_path / "set", images=2), "val")
    assert opened.classes == ("ground", "red", "green")
    assert [(sample.name, sample.source, sample.size_hw) for sample in opened.samples] == [
        ("set_0", "set", (16, 24)), ("set_1", "set", (16, 24))
    ]  # fmt: skip
    classes = opened.samples[1].read_classes()
    assert classes.dtype == np.int32
    assert classes[0].tolist() == [0] * 8 + [2] * 15 + [IGNORED]
    assert opened.samples[0].stored_truth() != opened.samples[1].stored_truth()


def test_cityscapes_has_nineteen_of_its_numbers(tmp_path):
    image = tmp_path / "leftImg8bit" / "val" / "bonn" / "bonn_0_leftImg8bit.png"
    picture(image, (4, 1))
    class_map(tmp_path / "gtFine" / "val" / "bonn" / "bonn_0_gtFine_labelIds.png", [[7, 33, 0, 9]])
    (sample,) = open_class_maps(tmp_path, "val").samples
    assert (sample.name, sample.source) == ("bonn_0", "bonn")
    assert sample.read_classes().tolist() == [[0, 18, IGNORED, IGNORED]]
    class_map(tmp_path / "gtFine" / "val" / "bonn" / "bonn_0_gtFine_labelTrainIds.png", [[3, 18, 255, 0]])
    opened = open_class_maps(tmp_path, "val")
    assert opened.samples[0].read_classes().tolist() == [[3, 18, IGNORED, 0]]
    assert opened.classes == CITYSCAPES
    with pytest.raises(DataError, match="train is missing"):
        open_class_maps(tmp_path, "train")


def test_ade20k_begins_with_one(tmp_path):
    picture(tmp_path / "images" / "validation" / "a.jpg", (3, 1))
    maps = class_map(tmp_path / "annotations" / "validation" / "a.png", [[0, 1, 150]])
    opened = open_class_maps(tmp_path, "val")
    assert opened.samples[0].read_classes().tolist() == [[IGNORED, 0, 149]]
    assert opened.classes[149] == "class 150"
    rows = [f"{i}\t0.1\t1\t1\t{'tv' if i > 148 else f'n{i}'}, x" for i in range(1, 151)]
    (tmp_path / "objectInfo150.txt").write_text("\n".join(["Idx\tRatio\tTrain\tVal\tName", *rows]))
    assert open_class_maps(tmp_path, "val").classes[-2:] == ("tv", "tv (150)")
    class_map(maps, [[0, 1, 151]])
    with pytest.raises(DataError, match=r"a\.png has the value 151 at x 2, y 0, which is no class"):
        open_class_maps(tmp_path, "val").samples[0].read_classes()


@pytest.mark.parametrize("value", [3, 254])
def test_a_value_that_is_no_class_is_named_with_its_file(tmp_path, value):
    write_maps(tmp_path)
    values = np.zeros((16, 24), np.uint8)
    values[5, 7] = value
    class_map(tmp_path / "labels" / "set_1.png", values)
    sample = open_class_maps(tmp_path, "val").samples[1]
    with pytest.raises(DataError, match=rf"set_1\.png has the value {value} at x 7, y 5.*0 to 2, and 255"):
        sample.read_classes()


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (
            lambda root: class_map(root / "labels" / "set_0.png", np.zeros((5, 6))),
            r"set_0.png has 6x5 pixels, but its image 24",
        ),
        (lambda root: (root / "labels" / "set_0.png").unlink(), r"set_0.png has no label map"),
        (lambda root: (root / "classes.txt").unlink(), r"lacks a classes.txt"),
        (lambda root: [file.unlink() for file in (root / "images").iterdir()], r"images holds no image"),
        (lambda root: (root / "labels").rename(root / "other"), r"is no data set of label maps"),
    ],
)
def test_a_set_that_is_not_whole_is_refused(tmp_path, prepare, sentence):
    prepare(write_maps(tmp_path))
    with pytest.raises(DataError, match=sentence):
        open_class_maps(tmp_path, "val")


def test_a_picture_in_color_is_no_label_map(tmp_path):
    write_maps(tmp_path)
    picture(tmp_path / "labels" / "set_0.png")
    with pytest.raises(DataError, match="has color"):
        open_class_maps(tmp_path, "val").samples[0].read_classes()


def test_values_of_sixteen_bits_and_no_value_to_ignore(tmp_path):
    coding = Coding((5, IGNORED), ())
    assert coding.decode(np.array([[0, 1]], np.uint16), tmp_path).tolist() == [[5, IGNORED]]
    with pytest.raises(DataError, match=r"value 700 at x 0, y 0.* and none for"):
        coding.decode(np.array([[700]], np.uint16), tmp_path)
