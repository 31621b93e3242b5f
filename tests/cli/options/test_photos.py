"""Files, folders and patterns become image files, or one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from samlet.cli.options.photos import find_photos
from samlet.errors import ImageError


@pytest.fixture
def folder(tmp_path):
    """Three photos, one of them deeper, among what is none."""
    (tmp_path / "inner").mkdir()
    for name in ("b.JPG", "a.tiff", "inner/c.webp", "notes.txt", ".hidden.png", "a.mask.png", "a.mask.2.png",
                 "a.overlay.png", "a.labels.png"):  # fmt: skip
        (tmp_path / name).touch()
    return tmp_path


def names(photos: list[Path]) -> list[str]:
    return [photo.name for photo in photos]


def test_a_folder_is_its_images_without_what_samlet_wrote(folder):
    assert names(find_photos([folder])) == ["a.tiff", "b.JPG"]


def test_patterns_and_their_order(folder):
    assert names(find_photos([folder / "**" / "*"])) == ["a.tiff", "b.JPG", "c.webp"]
    assert names(find_photos([folder / "inner" / "*.webp", folder / "b.JPG"])) == ["c.webp", "b.JPG"]


def test_a_pattern_may_be_relative(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert find_photos([Path("inner/*")]) == [Path("inner/c.webp")]


def test_a_file_with_the_signs_of_a_pattern_is_that_file(folder):
    (folder / "[1].jpg").touch()
    assert names(find_photos([folder / "[1].jpg"])) == ["[1].jpg"]


def test_what_is_named_is_taken_whatever_its_name(folder):
    assert names(find_photos([folder / "a.mask.png", folder / "notes.txt"])) == ["a.mask.png", "notes.txt"]


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("inner/*.jpg", "No image matches"),
        ("empty", r"holds no image \(.*\)\.$"),
        ("outer", r"holds no image .*; for those of the folders in it: 'outer/\*/\*'"),
        ("gone.jpg", "gone.jpg does not exist"),
        ("https://example.com/a.jpg", "does not exist: samlet reads files, so download it first"),
        ("s3://bucket/a.jpg", "does not exist: samlet reads files, so download it first"),
    ],
)
def test_what_means_no_image(folder, monkeypatch, named, sentence):
    (folder / "empty").mkdir()
    (folder / "outer" / "cat").mkdir(parents=True)
    (folder / "outer" / "cat" / "0.png").touch()
    monkeypatch.chdir(folder)
    with pytest.raises(ImageError, match=sentence):
        find_photos([Path(named)])
