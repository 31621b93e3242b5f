"""Folders, patterns and single photos, here and in a store."""

from __future__ import annotations

import pickle

import pytest
from tests.data.records import jpeg, record, write_shard

from samlet.errors import DataError, ImageError
from samlet.labeling.sources.files import FileSource, FolderSource, PatternSource
from samlet.labeling.sources.tars import TarSource

NAMES = ("day1/a.jpg", "day1/b.png", "day1/deep/c.JPG", "day2/a.jpg", "notes.txt", "day1/a.mask.png", "[odd].jpg")


@pytest.fixture
def photos(tmp_path):
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


@pytest.fixture
def far(flaky):
    for name in NAMES:
        flaky.pipe_file(f"/{name}", name.encode())
    return "flaky://"


def ids(source):
    return [item.image_id for item in source.items()]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*/a.jpg", ["day1/a.jpg", "day2/a.jpg"]),
        ("**/*.JPG", ["day1/deep/c.JPG"]),
        ("**/a.jpg", ["day1/a.jpg", "day2/a.jpg"]),
        ("day1/**", ["a.jpg", "b.png", "deep/c.JPG"]),
        ("day?/[!a].png", ["day1/b.png"]),
        ("day1/*.jpg", ["a.jpg"]),
    ],
)
def test_patterns_mean_the_same_here_and_far_away(photos, far, pattern, expected):
    assert ids(PatternSource(f"{photos}/{pattern}")) == ids(PatternSource(f"{far}{pattern}")) == expected


def test_a_folder_is_all_that_lies_below(photos, far):
    expected = ["[odd].jpg", "day1/a.jpg", "day1/b.png", "day1/deep/c.JPG", "day2/a.jpg"]
    here, there = FolderSource(str(photos)), FolderSource(far)
    assert ids(here) == ids(there) == expected
    for source in (here, there):
        item = list(pickle.loads(pickle.dumps(source)).items())[3]  # noqa: S301 our own bytes
        assert (item.size_bytes, item.prompts) == (15, None)
        assert pickle.loads(pickle.dumps(source)).read(item) == b"day1/deep/c.JPG"  # noqa: S301


def test_a_relative_folder_is_read_from_everywhere(photos, monkeypatch):
    monkeypatch.chdir(photos)
    item = next(FolderSource("./day1").items())
    monkeypatch.chdir("/")
    assert item.image_id == "a.jpg"
    assert FolderSource("./day1").read(item) == b"day1/a.jpg"


@pytest.mark.parametrize(("name", "image_id"), [("day1/a.jpg", "day1/a.jpg"), ("../x/day1/a.jpg", "x/day1/a.jpg")])
def test_a_photo_is_called_as_it_was_given(photos, monkeypatch, name, image_id):
    (photos / "x").symlink_to(photos)
    (photos / "y").mkdir()
    monkeypatch.chdir(photos / "y" if name.startswith("..") else photos)
    source = FileSource(name)
    assert ids(source) == [image_id]
    assert source.read(next(source.items())) == b"day1/a.jpg"


@pytest.mark.parametrize("source", [FolderSource, PatternSource])
def test_nothing_there(tmp_path, source):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ImageError, match=r"(holds no image|No image matches) .*\.jpg"):
        ids(source(str(tmp_path / "*.gif") if source is PatternSource else str(tmp_path)))
    with pytest.raises(DataError, match="nowhere does not exist"):
        ids(source(str(tmp_path / "nowhere" / "*.gif")) if source is PatternSource else source(f"{tmp_path}/nowhere"))


def test_a_shard_is_read_where_it_lies(tmp_path, flaky):
    members = {"./sa_2.jpg": jpeg(200), "./sa_2.json": record(), "sub/sa_10.jpg": jpeg(40), "._sa_2.jpg": b""}
    path = write_shard(tmp_path / "sa_000020.tar", members)
    flaky.pipe_file("/far/sa_000020.tar", path.read_bytes())
    for name in (str(path), "flaky://far/sa_000020.tar"):
        source = TarSource(name)
        items = list(source.items())
        assert [item.image_id for item in items] == ["sa_000020/sa_2.jpg", "sa_000020/sub/sa_10.jpg"]
        assert items[0].path.endswith("sa_000020.tar::sa_2.jpg")
        assert [source.read(item) for item in items] == [jpeg(200), jpeg(40)]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is not a plain tar"), (b"no tar" * 200, "is not a plain tar"), (None, "holds no image")],
)
def test_damaged_shards(tmp_path, content, message):
    path = write_shard(tmp_path / "x.tar", {"a.json": record()})
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        ids(TarSource(str(path)))
