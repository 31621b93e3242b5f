"""One opener for every layout, and what it says when images are missing or the input is something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.data.records import annotation, image, jpeg, record, write_coco, write_image, write_shard

from samlet.data import open_data
from samlet.errors import DataError, InputError

PAIR = {"sa_1.jpg": jpeg(), "sa_1.json": record()}


def folder_with_pair(folder: Path) -> Path:
    folder.mkdir()
    for name, content in {"pets_1.jpg": jpeg(), "pets_1.json": record()}.items():
        (folder / name).write_bytes(content)
    return folder


def coco_of(folder: Path, count: int) -> Path:
    """An annotation file of so many images, none of which is there yet."""
    numbers = range(1, count + 1)
    items = [annotation(number, image_id=number) for number in numbers]
    return write_coco(folder, images=[image(number) for number in numbers], annotations=items)


def test_all_layouts_together_in_order(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    write_shard(tmp_path / "shards" / "b.tar", {"sa_3.jpg": jpeg(), "sa_3.json": record()})
    write_shard(tmp_path / "shards" / "a.tar", {"sa_2.jpg": jpeg(), "sa_2.json": record()})
    write_image(tmp_path / "photos" / "001.jpg")
    paths = [
        write_shard(tmp_path / "x.tar", PAIR),
        tmp_path / "shards",
        str(folder_with_pair(tmp_path / "pairs")),
        write_coco(tmp_path),
    ]
    samples, missing = open_data(paths, tmp_path / "photos")
    assert [sample.name for sample in samples] == ["sa_1", "sa_2", "sa_3", "pets_1", "001"]
    assert all(len(sample.annotations) == 1 for sample in samples)
    assert missing == []


def test_missing_images_are_named_and_counted(tmp_path: Path) -> None:
    path = coco_of(tmp_path, 6)
    write_image(tmp_path / "005.jpg")
    expected = r"5 of 6 images are missing: 001\.jpg, 002\.jpg, 003\.jpg, …; bring them, .* --allow-missing 5\."
    with pytest.raises(DataError, match=expected):
        open_data([path], tmp_path, allow_missing=4)
    samples, missing = open_data([path], tmp_path, allow_missing=5)
    assert [sample.name for sample in samples] == ["005"]
    assert missing == ["001.jpg", "002.jpg", "003.jpg", "004.jpg", "006.jpg"]


def test_records_without_image_are_missing_images(tmp_path: Path) -> None:
    folder = folder_with_pair(tmp_path / "pairs")
    (folder / "pets_2.json").write_bytes(record())
    shard = write_shard(tmp_path / "x.tar", PAIR | {"sa_9.json": record()})
    with pytest.raises(DataError, match=r"2 of 4 images are missing: pets_2\.json, sa_9\.json; bring"):
        open_data([folder, shard])
    samples, missing = open_data([folder, shard], allow_missing=2)
    assert [sample.name for sample in samples] == ["pets_1", "sa_1"]
    assert missing == ["pets_2.json", "sa_9.json"]


def test_a_folder_with_none_of_the_images_is_the_wrong_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"None of the 3 images of .*instances\.json lies in .*right folder"):
        open_data([coco_of(tmp_path, 3)], tmp_path, allow_missing=3)


def test_one_name_in_two_shards_is_told_apart(tmp_path: Path) -> None:
    shards = [write_shard(tmp_path / "a.tar", PAIR), write_shard(tmp_path / "b.tar", PAIR)]
    assert [sample.name for sample in open_data(shards).samples] == ["a.tar/sa_1", "b.tar/sa_1"]
    with pytest.raises(DataError, match=r"a\.tar/sa_1\.jpg is there twice"):
        open_data([shards[0], shards[0]])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.json", "{", r"x\.json cannot be read as JSON"),
        ("x.json", "[" * 100_000, r"x\.json cannot be read as JSON"),
        ("x.json", "5", "no list 'images': it is not a COCO or LVIS annotation file"),
        ("x.json", "{}", "no list 'images'"),
        ("x.json", json.dumps({"images": [5]}), "number 0 of 'images' is not a record"),
        ("x.json", json.dumps([{"image_id": 1, "score": 0.5}]), "give it to --detections"),
        ("x.json", record().decode(), "is the SA-1B record of one image; give the folder"),
        ("x.zip", "", "neither a folder, nor a COCO or LVIS .json, nor an SA-1B .tar"),
        ("x.tar", "no tar", r"x\.tar is not a plain tar"),
    ],
)
def test_a_file_that_is_something_else(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        open_data([tmp_path / name], tmp_path if name.endswith(".json") else None)


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere does not exist; give a folder"):
        open_data([tmp_path / "nowhere"])


def test_an_annotation_file_needs_the_folder_of_its_images(tmp_path: Path) -> None:
    path = write_coco(tmp_path)
    with pytest.raises(DataError, match="only lists images; say with --images"):
        open_data([path])
    with pytest.raises(DataError, match="nowhere is not a folder; --images is the folder"):
        open_data([path], tmp_path / "nowhere")


def test_options_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--images belongs to a COCO or LVIS"):
        open_data([folder_with_pair(tmp_path / "pairs")], tmp_path)
    with pytest.raises(InputError, match="--allow-missing is -1"):
        open_data([tmp_path], allow_missing=-1)
