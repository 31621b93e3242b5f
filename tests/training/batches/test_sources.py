"""Every kind of data through one door: what is read when, in which order, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.data.records import annotation, jpeg, record, write_coco, write_image, write_shard

from samlet.data.shard_index import IndexedShard
from samlet.errors import DataError, InputError
from samlet.training.batches.sources import Picked, Source, open_source

PAIRS = {"sa_1.jpg": jpeg(), "sa_1.json": record(), "sa_2.jpg": jpeg(), "sa_2.json": record()}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMLET_CACHE", str(tmp_path / "cache"))


def write_folder(folder: Path) -> Path:
    """One SA-1B record, one labelme file and one photo without masks."""
    for name in ("pets_1.jpg", "pets_2.jpg", "pets_3.jpg"):
        write_image(folder / name)
    (folder / "pets_1.json").write_bytes(record())
    shape = {"label": "x", "shape_type": "rectangle", "points": [[0, 0], [4, 4]], "group_id": None}
    fields = {"shapes": [shape], "imagePath": "pets_2.jpg", "imageHeight": 6, "imageWidth": 8}
    (folder / "pets_2.json").write_text(json.dumps(fields))
    return folder


def test_every_kind_of_data_is_one_sequence(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pets")
    (tmp_path / "sa").mkdir()
    write_shard(tmp_path / "sa" / "a.tar", PAIRS)
    write_shard(tmp_path / "sa" / "b.tar", {"sa_9.jpg": jpeg(), "sa_9.json": record()})
    write_image(tmp_path / "coco" / "001.jpg")
    coco = write_coco(tmp_path)
    source = open_source([tmp_path / "sa", folder, coco], tmp_path / "coco")
    assert [sample.name for sample in source] == ["pets_1", "pets_2", "pets_3", "001", "sa_1", "sa_2", "sa_9"]
    assert [len(sample.annotations) for sample in source] == [1, 1, 0, 1, 1, 1, 1]
    assert source.known == 4
    assert source[-1].name == "sa_9"
    assert [sample.name for sample in source[3:5]] == ["001", "sa_1"]
    for wrong in (7, -8):
        with pytest.raises(IndexError):
            source[wrong]


def test_what_is_missing_is_counted_over_all(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.tar", PAIRS | {"sa_5.json": record()})
    with pytest.raises(DataError, match=r"1 of 3 images are missing: sa_5\.json; bring them, .* --allow-missing 1"):
        open_source([shard])
    assert len(open_source([shard], allow_missing=1)) == 2


def test_paths_that_are_no_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        open_source([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="--images belongs to a COCO"):
        open_source([write_shard(tmp_path / "a.tar", PAIRS)], tmp_path)


def test_one_class_is_data_like_any_other(tmp_path: Path) -> None:
    write_image(tmp_path / "coco" / "001.jpg")
    path = write_coco(tmp_path, categories=[{"id": 3, "name": "boat"}], annotations=[annotation(), annotation(2)])
    [sample] = open_source([path], tmp_path / "coco")
    assert {mask.category for mask in sample.annotations} == {"boat"}


def test_picking_keeps_shards_unread(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pets")
    shard = IndexedShard(write_shard(tmp_path / "a.tar", PAIRS | {"sa_1.json": b"{"}))
    known = list(open_source([folder]))
    picked = Picked(Source(known, [shard]), np.array([4, 2, 0, 3]))
    left = picked.without(lambda sample: not sample.annotations)
    assert len(left) == 3  # pets_3 has no mask; of the shard nothing was asked, not even its damaged record
    assert [sample.name for sample in left[:2]] == ["sa_2", "pets_1"]
    with pytest.raises(DataError, match=r"sa_1\.json"):
        left[2]


def test_picking_from_a_list_is_the_same(tmp_path: Path) -> None:
    known = list(open_source([write_folder(tmp_path / "pets")]))
    left = Picked(known, np.array([2, 1, 0])).without(lambda sample: not sample.annotations)
    assert [sample.name for sample in left] == ["pets_2", "pets_1"]
