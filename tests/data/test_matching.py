"""Images are found by their path in the data set, on every system's terms, and never guessed between two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.data.records import annotation, image, write_coco, write_image

from samlet.data import open_data
from samlet.data.matching import ImageFolder, pair_records, parts_of
from samlet.errors import DataError


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("cam1/0001.jpg", ("cam1", "0001.jpg")),
        ("cam1\\0001.jpg", ("cam1", "0001.jpg")),
        ("C:\\data\\cam1\\0001.jpg", ("data", "cam1", "0001.jpg")),
        ("D:cam1/0001.jpg", ("cam1", "0001.jpg")),
        ("\\\\server\\share\\cam1\\0001.jpg", ("cam1", "0001.jpg")),
        ("/data/cam1/0001.jpg", ("data", "cam1", "0001.jpg")),
        ("./cam1/./0001.jpg", ("cam1", "0001.jpg")),
        ("../../cam1/0001.jpg", ("cam1", "0001.jpg")),
        ("..", ()),
        ("", ()),
    ],
)
def test_names_of_every_system(name: str, parts: tuple[str, ...]) -> None:
    assert parts_of(name) == parts


def found(tmp_path: Path, files: list[str], folder: str, names: list[str]) -> dict[str, str | None]:
    for file in files:
        write_image(tmp_path / file)
    search = ImageFolder(tmp_path / folder, names)
    places = {name: search.find(name) for name in names}
    return {name: None if place is None else place.relative_to(tmp_path).as_posix() for name, place in places.items()}


FILES = ["cams/cam1/1.jpg", "cams/cam1/2.jpg", "cams/cam2/1.jpg"]
FOUND = {
    "from the folder on": ("cams", ["cam1/1.jpg", "cam2/1.jpg"], ["cams/cam1/1.jpg", "cams/cam2/1.jpg"]),
    "of one camera": ("cams/cam1", ["cam1/1.jpg", "cam2/1.jpg"], ["cams/cam1/1.jpg", None]),
    "of one camera, on Windows": ("cams/cam1", ["x\\cam1\\1.jpg", "x\\cam2\\1.jpg"], ["cams/cam1/1.jpg", None]),
    "absolute": ("cams", ["C:\\old\\cams\\cam2\\1.jpg"], ["cams/cam2/1.jpg"]),
    "unique by name": ("cams/cam1", ["elsewhere/2.jpg", "elsewhere/3.jpg"], ["cams/cam1/2.jpg", None]),
    "not unique by name": ("cams/cam1", ["a/1.jpg", "b/1.jpg"], [None, None]),
    "unique by folder and name": ("cams", ["x/cam1/1.jpg", "x/cam2/1.jpg"], ["cams/cam1/1.jpg", "cams/cam2/1.jpg"]),
    "out of the folder": ("cams/cam1", ["../cam2/1.jpg", "1.jpg"], [None, "cams/cam1/1.jpg"]),
    "a folder": (".", ["cams/cam1"], [None]),
    "too long": (".", ["x" * 300], [None]),
}


@pytest.mark.parametrize(("folder", "names", "places"), FOUND.values(), ids=FOUND.keys())
def test_where_an_image_lies(tmp_path: Path, folder: str, names: list[str], places: list[str | None]) -> None:
    assert list(found(tmp_path, FILES, folder, names).values()) == places


def opened(tmp_path: Path, names: list[str], folder: str, **options: Any) -> Any:
    numbers = range(1, len(names) + 1)
    path = write_coco(
        tmp_path,
        images=[image(number, file_name=name) for number, name in zip(numbers, names, strict=True)],
        annotations=[annotation(number, image_id=number) for number in numbers],
    )
    return open_data([path], tmp_path / folder, **options)


def test_an_image_found_by_its_name_alone_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    write_image(tmp_path / "photos" / "1.jpg")
    samples, _ = opened(tmp_path, ["elsewhere/1.jpg"], "photos", tell=told.append)
    assert [sample.image for sample in samples] == [tmp_path / "photos" / "1.jpg"]
    assert len(told) == 1
    assert "1 images of" in told[0]
    assert "elsewhere/1.jpg in " in told[0]
    told.clear()
    opened(tmp_path, ["photos/1.jpg"], "photos", tell=told.append)
    assert told == []


def test_another_camera_s_photo_is_missing_not_taken(tmp_path: Path) -> None:
    write_image(tmp_path / "cams" / "cam1" / "1.jpg")
    with pytest.raises(DataError, match=r"1 of 2 images are missing: cam2/1\.jpg"):
        opened(tmp_path, ["cam1/1.jpg", "cam2/1.jpg"], "cams/cam1")


def test_two_images_in_one_file_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "1.jpg")
    with pytest.raises(DataError, match=r"images 1 and 2 are one file, .*1\.jpg; list each image once"):
        opened(tmp_path, ["1.jpg", "./1.jpg"], ".")


def test_equal_stems_are_told_apart(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg")
    write_image(tmp_path / "a.png")
    assert [sample.name for sample in opened(tmp_path, ["a.png", "a.jpg"], ".").samples] == ["a.png", "a.jpg"]


def test_records_are_paired_by_their_whole_path() -> None:
    images = ["a/1.jpg", "b/1.jpg", "c.jpg", "c.png"]
    paired, alone = pair_records(images, ["b/1.json", "c.json", "1.json"], {"c.json": "c.png"}.get)
    assert paired == {"b/1.jpg": "b/1.json", "c.png": "c.json"}
    assert alone == ["1.json"]
    with pytest.raises(DataError, match=r"c\.json may belong to c\.jpg or to c\.png"):
        pair_records(images, ["c.json"], lambda record: None)
