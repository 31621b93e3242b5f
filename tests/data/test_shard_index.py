"""Indexed shards give the samples of shards that are read at once, but read a record only when it is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.data.records import jpeg, record, square, write_shard

from samlet.data import shards
from samlet.data.shard_index import IndexedShard, open_shards
from samlet.errors import DataError

PAIRS = {"./sa_2.jpg": jpeg(200), "./sa_2.json": record(), "./sa_10.json": record(), "./sa_10.jpg": jpeg(40)}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAMLET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_it_holds_the_samples_of_the_shard(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "x.tar", PAIRS | {"photo.jpg": jpeg(), "lost.json": record()})
    index, (samples, missing) = IndexedShard(path), shards.read_shard(path)
    assert list(index) == samples
    assert index[-1:] == samples[-1:]
    assert index.missing == missing == ["lost.json"]
    np.testing.assert_array_equal(index[1].annotations[0].to_array(), square())
    assert index[1].read_image().mean().round() == 40
    with pytest.raises(IndexError):
        index[len(samples)]


def test_a_damaged_record_is_named_when_it_is_asked_for(tmp_path: Path) -> None:
    index = IndexedShard(write_shard(tmp_path / "x.tar", PAIRS | {"sa_3.jpg": jpeg(), "sa_3.json": b"{"}))
    assert index[1].name == "sa_2"
    with pytest.raises(DataError, match=r"x\.tar, sa_3\.json cannot be read as JSON"):
        index[2]


def test_the_second_start_does_not_walk_the_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_shard(tmp_path / "x.tar", PAIRS)
    first = list(IndexedShard(path))
    monkeypatch.setattr("samlet.data.shard_index.list_pairs", lambda path: pytest.fail("walked"))
    assert list(IndexedShard(path)) == first


def test_another_file_under_the_name_is_walked_anew(tmp_path: Path) -> None:
    IndexedShard(write_shard(tmp_path / "x.tar", PAIRS))
    replaced = IndexedShard(write_shard(tmp_path / "x.tar", {"b.jpg": jpeg(), "b.json": record(), "c.jpg": jpeg()}))
    assert [sample.name for sample in replaced] == ["b", "c"]


def test_a_damaged_or_unwritable_cache_costs_time_only(tmp_path: Path, cache: Path) -> None:
    path = write_shard(tmp_path / "x.tar", PAIRS)
    first = list(IndexedShard(path))
    [kept] = (cache / "shards").iterdir()
    kept.write_bytes(b"no archive")
    assert list(IndexedShard(path)) == first
    kept.unlink()
    (cache / "shards").rmdir()
    (cache / "shards").write_text("a file is in the way")
    assert list(IndexedShard(path)) == first


def test_equal_names_in_two_shards_are_told_apart(tmp_path: Path) -> None:
    one, other = (write_shard(tmp_path / name, {"a.jpg": jpeg()}) for name in ("1.tar", "2.tar"))
    third = write_shard(tmp_path / "3.tar", {"b.jpg": jpeg()})
    assert [shard[0].name for shard in open_shards([one, third])] == ["a", "b"]
    names = [shard[0].name for shard in open_shards([one, other])]
    assert [name.endswith(end) for name, end in zip(names, ("/1.tar/a", "/2.tar/a"), strict=True)] == [True, True]
    assert open_shards([]) == []


def test_a_damaged_shard_is_told_here_too(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "x.tar", PAIRS)
    path.write_bytes(path.read_bytes()[:1536])
    with pytest.raises(DataError, match=r"x\.tar is cut off or damaged behind sa_2\.jpg, its member number 1"):
        IndexedShard(path)


def test_what_is_no_shard_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.tar does not exist"):
        IndexedShard(tmp_path / "gone.tar")
    with pytest.raises(DataError, match=r"x\.tar is not a plain tar"):
        IndexedShard(write_shard(tmp_path / "x.tar", PAIRS, "w:gz"))


def test_what_stays_in_memory_is_small(tmp_path: Path) -> None:
    index = IndexedShard(write_shard(tmp_path / "x.tar", PAIRS))
    assert sum(array.nbytes for array in index._places) <= 50 * len(index)
