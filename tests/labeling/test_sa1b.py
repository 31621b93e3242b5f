"""Results as SA-1B's shards: read again by what reads SA-1B, the same bytes each time."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from tests.data.records import HEIGHT, WIDTH, jpeg, square

from samlet.data.shards import read_shard
from samlet.errors import DataError
from samlet.geometry.rle import encode
from samlet.labeling.items import Item
from samlet.labeling.places import Folder
from samlet.labeling.results import BrokenItem, LabeledImage, ShardResult
from samlet.labeling.sa1b import Sa1bSink, member_names, tar_of
from samlet.masks import Mask, MaskSet


def labeled(image_id, gray=90, masks=1, label=None):
    content = jpeg(gray)
    found = MaskSet([Mask(encode(square()), iou=0.5)] * masks, (HEIGHT, WIDTH))
    item = Item(image_id, f"/photos/{image_id}")
    return LabeledImage(item, hashlib.sha256(content).hexdigest(), len(content), found, (label,) * masks)


PHOTOS = {"a.jpg": 10, "b/c.jpg": 200}


def read(item):
    return jpeg(PHOTOS[item.image_id])


RESULT = ShardResult(3, (labeled("a.jpg", 10, 2, "boat"), labeled("b/c.jpg", 200, 0)))


def test_a_shard_is_one_of_sa_1b(tmp_path):
    digests = Sa1bSink(Folder(tmp_path)).write(RESULT, read)
    path = tmp_path / "sa1b" / "00000003.tar"
    assert digests == {"sa1b/00000003.tar": hashlib.sha256(path.read_bytes()).hexdigest()}
    samples, missing = read_shard(path)
    assert [sample.name for sample in samples] == ["a", "b/c"]
    assert [len(sample.annotations) for sample in samples] == [2, 0]
    assert missing == []
    np.testing.assert_array_equal(samples[0].annotations[1].to_array(), square())
    assert samples[1].read_image().mean() == pytest.approx(200, abs=1)
    assert Sa1bSink(Folder(tmp_path / "again")).write(RESULT, read) == digests


def test_what_is_broken_has_its_table(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    broken = ShardResult(0, (), (BrokenItem(Item("x", "/x"), "it is no image"),))
    sink = Sa1bSink(Folder(tmp_path))
    assert list(sink.write(broken, read)) == list(sink.files_of(0))
    assert parquet.read_table(tmp_path / "quarantine" / "00000000.parquet")["reason"].to_pylist() == ["it is no image"]
    assert (tmp_path / "sa1b" / "00000000.tar").read_bytes() == bytes(1024)


def test_a_photo_that_changed_meanwhile_is_not_written(tmp_path):
    with pytest.raises(DataError, match=r"/photos/a\.jpg was changed while"):
        Sa1bSink(Folder(tmp_path)).write(RESULT, lambda item: b"other")
    assert list((tmp_path / "sa1b").iterdir()) == []


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (["a.jpg", "b/a.jpg"], ["a.jpg", "b/a.jpg"]),
        (["a.jpg", "a.png"], ["a_jpg.jpg", "a_png.png"]),
        (["first", "/data/x.JPG", "../y.webp"], ["first.jpg", "data/x.JPG", "y.webp"]),
        (["ü" * 120 + ".jpg"], ["ü" * 120 + ".jpg"]),
    ],
)
def test_names_in_a_tar(tmp_path, ids, names):
    assert member_names([Item(image_id, f"s3://x/{image_id}") for image_id in ids]) == names
    images = [labeled(image_id) for image_id in ids]
    (tmp_path / "x.tar").write_bytes(b"".join(tar_of(images, lambda _: jpeg())))
    samples, missing = read_shard(tmp_path / "x.tar")
    assert sorted(sample.name for sample in samples) == sorted(name.rpartition(".")[0] for name in names)
    assert missing == []
