"""SA-1B shards: read where they lie, also from another process, and refused with a sentence where damaged."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.data.records import HEIGHT, WIDTH, jpeg, record, square, write_shard

from samlet.data.shards import read_shard
from samlet.errors import DataError

PAIRS = {"./sa_2.jpg": jpeg(200), "./sa_2.json": record(), "./sa_10.json": record(), "./sa_10.jpg": jpeg(40)}


def test_a_shard_is_read_where_it_lies(tmp_path: Path) -> None:
    samples, missing = read_shard(write_shard(tmp_path / "sa_000000.tar", PAIRS))
    assert [(sample.name, sample.source, sample.size_hw) for sample in samples] == [
        ("sa_10", "sa", (HEIGHT, WIDTH)),
        ("sa_2", "sa", (HEIGHT, WIDTH)),
    ]
    assert missing == []
    np.testing.assert_array_equal(samples[0].annotations[0].to_array(), square())
    assert [int(sample.read_image().mean().round()) for sample in samples] == [40, 200]
    assert [path.name for path in tmp_path.iterdir()] == ["sa_000000.tar"]


def test_a_sample_goes_to_another_process(tmp_path: Path) -> None:
    samples, _ = read_shard(write_shard(tmp_path / "sa_000000.tar", PAIRS))
    there = pickle.loads(pickle.dumps(samples[1]))  # noqa: S301 our own bytes
    np.testing.assert_array_equal(there.read_image(), samples[1].read_image())


def test_photos_without_record_and_records_without_photo(tmp_path: Path) -> None:
    members = {"a.jpg": jpeg(), "b.json": record(), "._a.jpg": b"macOS", "readme.txt": b""}
    samples, missing = read_shard(write_shard(tmp_path / "x.tar", members))
    assert [(sample.name, sample.size_hw, sample.annotations) for sample in samples] == [("a", (HEIGHT, WIDTH), ())]
    assert missing == ["b.json"]


def test_nothing_but_the_headers_and_records_is_read_on_opening(tmp_path: Path) -> None:
    samples, _ = read_shard(write_shard(tmp_path / "x.tar", {"a.jpg": b"no image", "a.json": record()}))
    with pytest.raises(DataError, match=r"x\.tar, a\.jpg is not an image"):
        samples[0].read_image()


BROKEN = {
    "empty": ({}, "holds no image with a record"),
    "other files": ({"readme.txt": b"hello"}, "holds no image with a record"),
    "no JSON": ({"a.jpg": jpeg(), "a.json": b"{"}, r"x\.tar, a\.json cannot be read as JSON"),
    "no record": ({"a.jpg": jpeg(), "a.json": b"[]"}, r"x\.tar, a\.json has no list 'annotations'"),
    "damaged mask": ({"a.jpg": jpeg(), "a.json": record(area=-1)}, r"x\.tar, a\.json, annotation 5 has area -1"),
    "photo alone": ({"a.jpg": b"no image"}, r"x\.tar, a\.jpg is not an image"),
}


@pytest.mark.parametrize(("members", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_damage_is_named(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_shard(write_shard(tmp_path / "x.tar", members))


def test_a_compressed_shard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.tar is not a plain tar .*: decompress it"):
        read_shard(write_shard(tmp_path / "x.tar", PAIRS, "w:gz"))


def test_a_shard_cut_off_is_named(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "x.tar", {"a.json": record(), "a.jpg": jpeg()})
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"JFIF") + 20])
    with pytest.raises(DataError, match=r"x\.tar is (cut off inside a\.jpg|not a plain tar)"):
        read_shard(path).samples[0].read_image()


def test_members_of_equal_names_in_two_folders_are_two_images(tmp_path: Path) -> None:
    members = {"a/1.jpg": jpeg(40), "a/1.json": record(), "b/1.jpg": jpeg(200), "b/1.json": record()}
    samples, missing = read_shard(write_shard(tmp_path / "x.tar", members))
    assert [sample.name for sample in samples] == ["a/1", "b/1"]
    assert [int(sample.read_image().mean().round()) for sample in samples] == [40, 200]
    assert missing == []


def test_one_record_of_two_images_says_whose_it_is(tmp_path: Path) -> None:
    members = {"a.jpg": jpeg(), "a.png": jpeg(), "a.json": record()}
    with pytest.raises(DataError, match=r"a\.json may belong to a\.jpg or to a\.png"):
        read_shard(write_shard(tmp_path / "x.tar", members))


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "x.tar", {"a.jpg": jpeg()})
    write_shard(path, {"a.jpg": jpeg(200)}, "a")
    with pytest.raises(DataError, match=r"x\.tar holds two members named a\.jpg"):
        read_shard(path)


THREE = {f"sa_{number}.jpg": jpeg(number) for number in (1, 2, 3)}


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_a_shard_cut_between_members_or_inside_is_told_with_what_was_whole(tmp_path: Path, keep: int) -> None:
    path = write_shard(tmp_path / "x.tar", THREE)
    content = path.read_bytes()
    ends = [index for index in range(512, len(content), 512) if content[index : index + 3] == b"sa_"]
    cut = [*ends, len(content)][keep - 1]
    cut = cut if keep < 3 else content.rindex(b"\xff\xd9") + 2
    path.write_bytes(content[:cut])
    with pytest.raises(DataError, match=rf"cut off or damaged behind sa_{keep}\.jpg, its member number {keep};"):
        read_shard(path)
    path.write_bytes(content[: cut - (600 if keep < 3 else 100)])
    with pytest.raises(DataError, match=rf"cut off inside sa_{keep}\.jpg, behind {keep - 1} whole members"):
        read_shard(path)


def test_a_damaged_header_is_told(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "x.tar", THREE)
    content = bytearray(path.read_bytes())
    content[content.index(b"sa_3") + 20] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.tar is cut off or damaged behind sa_2\.jpg, its member number 2; "):
        read_shard(path)


def test_a_shard_that_went_away_is_named(tmp_path: Path) -> None:
    samples, _ = read_shard(write_shard(tmp_path / "x.tar", PAIRS))
    (tmp_path / "x.tar").unlink()
    with pytest.raises(DataError, match=r"x\.tar does not exist"):
        samples[0].read_image()
