"""Manifests as Parquet, CSV and JSON lines: the same items, and what is refused."""

from __future__ import annotations

import csv
import json

import pytest

from samlet.errors import DataError, ImageError
from samlet.labeling.items import ObjectPrompt
from samlet.labeling.sources.manifests import ManifestSource

BOXES = [[1, 2, 3, 4], [5, 6, 7.5, 8]]
ROWS = [
    {"path": "a.jpg", "image_id": "first", "boxes_xyxy": BOXES, "label": "boat"},
    {"path": "sub/b.jpg", "image_id": None, "boxes_xyxy": [], "label": None},
    {"path": "s3://bucket/c.jpg", "image_id": None, "boxes_xyxy": None, "label": None},
]


def write(path, rows):
    if path.suffix == ".parquet":
        pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            for row in rows:
                writer.writerow({k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()})
    else:
        path.write_text("\ufeff" + "\n\n".join(map(json.dumps, rows)))
    return path


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_the_same_rows_are_the_same_items(tmp_path, suffix):
    (tmp_path / "a.jpg").write_bytes(b"123")
    source = ManifestSource(str(write(tmp_path / f"list.{suffix}", ROWS)))
    first, second, third = source.items()
    assert (first.image_id, first.path, first.size_bytes) == ("first", f"{tmp_path.as_posix()}/a.jpg", 3)
    assert first.prompts == tuple(ObjectPrompt(tuple(map(float, box)), label="boat") for box in BOXES)
    assert source.read(first) == b"123"
    assert (second.image_id, second.size_bytes, second.version, second.prompts) == ("sub/b.jpg", -1, "", ())
    assert (third.image_id, third.path, third.prompts) == ("s3://bucket/c.jpg", "s3://bucket/c.jpg", ())
    with pytest.raises(ImageError, match=r"sub/b\.jpg does not exist"):
        source.read(second)


def test_images_may_lie_elsewhere(tmp_path):
    source = ManifestSource(str(write(tmp_path / "list.csv", [{"url": "a.jpg"}])), "/photos")
    (item,) = source.items()
    assert (item.path, item.prompts) == ("/photos/a.jpg", None)


def test_a_manifest_of_a_store_is_relative_to_it(flaky):
    flaky.pipe_file("/lists/list.csv", b"path,size_bytes,version\na.jpg,3,v1\n")
    flaky.pipe_file("/lists/a.jpg", b"123")
    flaky.failures["list.csv"] = [ConnectionResetError()]
    source = ManifestSource("flaky://lists/list.csv")
    (item,) = source.items()
    assert (item.path, item.size_bytes, item.version) == ("flaky:///lists/a.jpg", 3, "v1")
    assert source.read(item) == b"123"


POINTS = [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"points_xy": POINTS}, [ObjectPrompt(None, ((1, 2), (3, 4)), (1, 1))]),
        ({"points_xy": POINTS, "point_labels": [1, 0]}, [ObjectPrompt(None, ((1, 2), (3, 4)), (1, 0))]),
        (
            {"points_xy": [[[1, 2]], POINTS], "label": ["x", None]},
            [ObjectPrompt(None, ((1, 2),), (1,), label="x"), ObjectPrompt(None, ((1, 2), (3, 4)), (1, 1))],
        ),
        (
            {"boxes_xyxy": BOXES[:1], "points_xy": [[[1, 2]]], "point_labels": [[0]]},
            [ObjectPrompt((1, 2, 3, 4), ((1, 2),), (0,))],
        ),
        ({"points_xy": []}, []),
    ],
)
def test_points_of_one_object_or_of_several(tmp_path, row, expected):
    (item,) = ManifestSource(str(write(tmp_path / "list.jsonl", [{"path": "a.jpg", **row}]))).items()
    assert item.prompts == tuple(expected)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"path": ""}, "row 1 has the path None"),
        ({"path": 3}, "row 1 has the path 3"),
        ({"boxes_xyxy": [[1, 2, 3]]}, r"the box \[1, 2, 3\]; boxes_xyxy is a list"),
        ({"boxes_xyxy": [[5, 5, 1, 1]]}, "which is empty"),
        ({"points_xy": [[1, None]]}, r"the point \[1, None\]"),
        ({"points_xy": POINTS, "point_labels": [1]}, "give 1 or 0 for each point"),
        ({"points_xy": POINTS, "point_labels": [1, 2]}, "give 1 or 0 for each point"),
        ({"boxes_xyxy": BOXES, "points_xy": POINTS}, "2 boxes and points for 1"),
        ({"boxes_xyxy": BOXES, "label": ["x"]}, "give one name, or a list of one"),
    ],
)
def test_rows_that_make_no_sense(tmp_path, row, message):
    source = ManifestSource(str(write(tmp_path / "list.jsonl", [{"path": "a.jpg", **row}])))
    with pytest.raises(DataError, match=message):
        list(source.items())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "file,label\na.jpg,b\n", "has no column 'path' or 'url'; it has 'file', 'label'"),
        ("x.csv", "", "has no column 'path' or 'url'; it has none"),
        ("x.csv", "path\n", "lists no image"),
        ("x.csv", "path,boxes_xyxy\na.jpg,[1\n", "row 1, boxes_xyxy cannot be read as JSON"),
        ("x.jsonl", "", "lists no image"),
        ("x.jsonl", "[1]", "must be a record with 'path'"),
        ("x.jsonl", '{"path": "a.jpg"}\n{', "line 2 cannot be read as JSON"),
        ("x.parquet", "no table", "cannot be read as a manifest"),
    ],
)
def test_damaged_manifests(tmp_path, name, content, message):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        list(ManifestSource(str(tmp_path / name)).items())
