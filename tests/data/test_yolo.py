"""YOLO's text files → samples, told from captions, and every wrong line named."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from samlet.data import Sample, open_data
from samlet.errors import DataError

SQUARE = "3 0.1 0.2 0.3 0.2 0.3 0.5 0.1 0.5"  # 20 x 15 pixels of 100 x 50


def opened(folder: Path, text: str, place: str = "images/p.txt") -> Sample:
    (folder / "images").mkdir(exist_ok=True)
    Image.new("RGB", (100, 50)).save(folder / "images" / "p.jpg")
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / place).write_text(text)
    [sample] = open_data([folder / "images"]).samples
    return sample


@pytest.mark.parametrize("place", ["images/p.txt", "labels/p.txt"])
def test_an_outline_is_a_mask(tmp_path: Path, place: str) -> None:
    first, second = opened(tmp_path, f"{SQUARE}\n\n0 0 0 1 0 1.001 1 0 1\n", place).annotations
    assert (first.category, first.box_xywh, first.area_px) == ("3", (10, 10, 20, 15), 300)
    assert (second.category, second.area_px) == ("0", 5000)


def test_an_empty_file_says_that_nothing_is_there(tmp_path: Path) -> None:
    assert opened(tmp_path, "").annotations == ()


def test_a_caption_is_no_annotation(tmp_path: Path) -> None:
    assert opened(tmp_path, "3 cats on a mat, 0.5 of them asleep").annotations == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.5 0.5 0.2 0.2", r"p\.txt, line 1 is a box: samlet measures masks"),
        (f"{SQUARE}\n0 0.1 0.2 0.3", "line 2 has 3 numbers behind the class"),
        ("0 10 20 30 20 30 50", "line 1 has corners beyond 0 and 1"),
        (f"{SQUARE}\nsquare", "line 2 is not a class number"),
        ("0 1e-1 0.2 nan 0.2 0.3 0.5", "line 1"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        opened(tmp_path, text, "labels/p.txt")


def test_a_label_without_its_photo_is_a_missing_photo(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "q.txt").write_text(SQUARE)
    (tmp_path / "labels" / "classes.txt").write_text("leaf\n")
    with pytest.raises(DataError, match=r"1 of 2 images are missing: q\.txt"):
        opened(tmp_path, SQUARE)
