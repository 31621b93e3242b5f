from __future__ import annotations

import numpy as np
import pytest

from samlet.geometry.rle import Rle, decode, encode
from samlet.labeling.items import Item
from samlet.labeling.job import ModelFacts
from samlet.labeling.parquet import ParquetSink
from samlet.labeling.places import Folder
from samlet.labeling.results import BrokenItem, LabeledImage, ShardResult
from samlet.masks import Mask, MaskSet

pq = pytest.importorskip("pyarrow.parquet")

HALF = np.zeros((4, 6), bool)
HALF[1:, 2:] = True
MASKS = MaskSet([Mask(encode(HALF), iou=0.75, stability=0.5), Mask(encode(~HALF))], (4, 6))
FACTS = ModelFacts("b0", None, "onnx")


def image(image_id, masks=MASKS, labels=("cat", None)):
    return LabeledImage(Item(image_id, f"s3://x/{image_id}"), "ab" * 32, 123, masks, labels)


def write(folder, *results):
    sink = ParquetSink(Folder(folder), FACTS)
    return [sink.write(result, lambda _: b"") for result in results]


def test_a_mask_is_a_row_that_gives_the_mask_again(tmp_path):
    write(tmp_path, ShardResult(0, (image("a"), image("b", MaskSet([], (4, 6)), ()))))
    rows = pq.read_table(tmp_path / "masks").to_pylist()
    assert [(row["image_id"], row["mask"], row["label"], row["iou"], row["stability"]) for row in rows] == [
        ("a", 0, "cat", 0.75, 0.5),
        ("a", 1, None, None, None),
    ]
    code = Rle(size=[rows[0]["height"], rows[0]["width"]], counts=rows[0]["rle"].encode())
    np.testing.assert_array_equal(decode(code), HALF)
    assert (rows[0]["box_xywh"], rows[0]["area_px"]) == ([2, 1, 4, 3], 12)
    assert (rows[0]["path"], rows[0]["size_bytes"], rows[0]["sha256"]) == ("s3://x/a", 123, "ab" * 32)
    assert (rows[0]["model"], rows[0]["weights_sha256"]) == ("b0", None)
    images = pq.read_table(tmp_path / "images").to_pylist()
    assert [(row["image_id"], row["masks"]) for row in images] == [("a", 2), ("b", 0)]


def test_shards_without_masks_or_images_have_the_same_columns(tmp_path):
    empty = ShardResult(1, (), (BrokenItem(Item("c", "c.jpg", 7, "v"), "it is broken"),))
    write(tmp_path, ShardResult(0, (image("a"),)), empty)
    assert pq.read_table(tmp_path / "masks").num_rows == 2
    assert pq.read_schema(tmp_path / "masks" / "00000000.parquet") == pq.read_schema(
        tmp_path / "masks" / "00000001.parquet"
    )
    assert pq.read_table(tmp_path / "quarantine").to_pylist() == [
        {"image_id": "c", "path": "c.jpg", "version": "v", "reason": "it is broken", "size_bytes": 7}
    ]


def test_the_same_result_is_the_same_bytes(tmp_path):
    first, second = write(tmp_path, *[ShardResult(3, (image("a"),), seconds={"read": s}) for s in (1.0, 2.0)])
    assert first == second
    assert set(first) == {"masks/00000003.parquet", "images/00000003.parquet"}
    assert {*first, "quarantine/00000003.parquet"} == set(ParquetSink(Folder(tmp_path), FACTS).files_of(3))
    assert pq.ParquetFile(tmp_path / "masks/00000003.parquet").metadata.row_group(0).column(0).compression == "ZSTD"
