"""Which source a name means."""

from __future__ import annotations

import pytest
from tests.data.records import jpeg, record, write_shard

from samlet.errors import DataError, InputError
from samlet.labeling.sources import open_sources


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "shards", "empty"):
        (tmp_path / folder).mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(jpeg())
    for name in ("list.csv", "instances.json", "list.parquet", "list.jsonl", "notes.txt", "[1].jpg"):
        (tmp_path / name).touch()
    for number in (2, 1):
        write_shard(tmp_path / "shards" / f"sa_{number}.tar", {"a.jpg": jpeg(), "a.json": record()})
    return tmp_path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("photos", ["FolderSource"]),
        ("empty", ["FolderSource"]),
        ("photos/*.jpg", ["PatternSource"]),
        ("[1].jpg", ["FileSource"]),
        ("photos/a.jpg", ["FileSource"]),
        ("shards", ["TarSource", "TarSource"]),
        ("shards/sa_1.tar", ["TarSource"]),
        ("list.csv", ["ManifestSource"]),
        ("list.parquet", ["ManifestSource"]),
        ("list.jsonl", ["ManifestSource"]),
        ("instances.json", ["CocoSource"]),
    ],
)
def test_what_a_name_means(place, name, expected):
    assert [type(source).__name__ for source in open_sources([name])] == expected


def test_shards_come_by_name_and_their_images_are_told_apart(place):
    items = [item for source in open_sources(["shards"]) for item in source.items()]
    assert [item.image_id for item in items] == ["sa_1/a.jpg", "sa_2/a.jpg"]


def test_names_of_a_store(flaky):
    for name in ("photos/a.jpg", "shards/a.tar", "list.csv"):
        flaky.pipe_file(f"/{name}", b"")
    names = [f"flaky://{name}" for name in ("photos", "photos/*.jpg", "photos/a.jpg", "shards", "list.csv")]
    assert [type(source).__name__ for source in open_sources(names)] == [
        "FolderSource",
        "PatternSource",
        "FileSource",
        "TarSource",
        "ManifestSource",
    ]


@pytest.mark.parametrize(
    ("names", "options", "error", "message"),
    [
        ([], {}, InputError, "No source is given"),
        (["nowhere"], {}, DataError, "nowhere does not exist"),
        (["nowhere.csv"], {}, DataError, "does not exist"),
        (["nowhere.json"], {}, DataError, "does not exist"),
        (["notes.txt"], {}, DataError, "is no source"),
        (["photos"], {"images": "x"}, InputError, "--images belongs to a manifest"),
        (["photos"], {"detections": "x"}, InputError, "give that file as the one source"),
        (["instances.json", "photos"], {"detections": "x"}, InputError, "give that file as the one source"),
    ],
)
def test_what_is_refused(place, names, options, error, message):
    with pytest.raises(error, match=message):
        open_sources(names, **options)
