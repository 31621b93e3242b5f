"""Images of classes: folders, tables, and what is refused."""

from __future__ import annotations

import pytest
from tests.data.class_sets import picture, write_classes

from samlet.data.class_folders import open_classes
from samlet.data.sample import tell_apart
from samlet.errors import DataError


def test_each_folder_is_a_class_in_the_order_of_names(tmp_path):
    opened = open_classes(write_classes(tmp_path / "set", ("dog", "cat"), each=2))
    assert opened.classes == ("cat", "dog")
    assert [(sample.name, sample.label) for sample in opened.samples] == [
        ("cat/0.png", 0), ("cat/1.png", 0), ("dog/0.png", 1), ("dog/1.png", 1)
    ]  # fmt: skip
    assert opened.samples[0].read_image().shape == (16, 24, 3)
    assert [sample.facts for sample in opened.samples[1:3]] == [("class", 0), ("class", 1)]
    assert tell_apart(opened.samples) == opened.samples


def test_classes_txt_says_the_order_and_names_classes_without_images(tmp_path):
    root = write_classes(tmp_path)
    (root / "classes.txt").write_text("dog\nemu\ncat\n\n")
    opened = open_classes(root)
    assert opened.classes == ("dog", "emu", "cat")
    assert [sample.label for sample in opened.samples] == [2, 2, 2, 0, 0, 0]


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda root: (root / "emu").mkdir(), r"emu holds no image: fill the class folder, or remove it"),
        (lambda root: picture(root / "val" / "cat" / "a.png"), r"val holds no image but folders: give .*val itself"),
        (lambda root: (root / "classes.txt").write_text("cat\n"), r"dog is no class of .*classes.txt"),
        (lambda root: (root / "classes.txt").write_text("cat\ncat\n"), r"names the class 'cat' twice"),
        (lambda root: (root / "classes.txt").write_text("cat\n\ndog\n"), r"the name of class 1 is empty"),
        (lambda root: (root / "classes.txt").write_text(""), r"names 0 classes"),
    ],
)
def test_a_folder_that_is_not_so_is_refused(tmp_path, prepare, sentence):
    prepare(write_classes(tmp_path))
    with pytest.raises(DataError, match=sentence):
        open_classes(tmp_path)


def test_a_folder_without_folders_and_what_is_not_there(tmp_path):
    picture(tmp_path / "flat" / "a.png")
    for path, sentence in ((tmp_path / "flat", "holds no folders"), (tmp_path / "none", "does not exist")):
        with pytest.raises(DataError, match=sentence):
            open_classes(path)
    with pytest.raises(DataError, match="neither a folder of class folders"):
        open_classes(tmp_path / "flat" / "a.png")
    with pytest.raises(DataError, match="--images belongs"):
        open_classes(write_classes(tmp_path / "set"), tmp_path)


def test_a_table_names_images_and_classes(tmp_path):
    write_classes(tmp_path / "photos")
    table = tmp_path / "set.csv"
    table.write_text("Label,file\n10,cat/0.png\n9,dog/1.png\n10,gone.png\n")
    opened = open_classes(table, tmp_path / "photos")
    assert opened.classes == ("9", "10")  # numbers by their size
    assert [(sample.name, sample.source, sample.label) for sample in opened.samples] == [
        ("cat/0.png", "set", 1), ("dog/1.png", "set", 0)
    ]  # fmt: skip
    assert opened.missing == ("gone.png",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"needs the columns image and class"),
        ("image,kind\na.png,1\n", r"needs the columns image and class .* \['image', 'kind'\]"),
        ("image,class\n", r"lists no image"),
        ("image,class\na.png,\n", r"line 2: the class is empty"),
        ("image,class\n,cat\n", r"line 2: the image is empty"),
        ("image,class\na.png,cat\na.png,dog\n", r"line 3: a.png is there twice"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, text, sentence):
    (tmp_path / "set.csv").write_text(text)
    with pytest.raises(DataError, match=sentence):
        open_classes(tmp_path / "set.csv")


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    write_classes(tmp_path)
    (tmp_path / "cat" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"cat/0\.png: "):
        open_classes(tmp_path).samples[0].read_image()
