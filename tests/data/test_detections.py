"""COCO results → boxes of each image; ids of another data set and boxes in another format are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from samlet.data import Detection
from samlet.data.detections import read_detections
from samlet.errors import DataError

SIZES_HW = {7: (100, 200), 9: (300, 300)}


def found(**changes: Any) -> dict[str, Any]:
    return {"image_id": 7, "category_id": 1, "bbox": [10, 20, 30, 40.5], "score": 0.5} | changes


def read(folder: Path, content: Any) -> dict[int, list[Detection]]:
    (folder / "found.json").write_text(json.dumps(content))
    return read_detections(folder / "found.json", SIZES_HW, [1, 3])


def test_detections_by_image_in_the_order_of_the_file(tmp_path: Path) -> None:
    items = [found(score=0.1), found(image_id=9, category_id=3), found(score=0.9)]
    by_image = read(tmp_path, items)
    assert [detection.score for detection in by_image[7]] == [0.1, 0.9]
    assert by_image[9] == [Detection(3, (10.0, 20.0, 30.0, 40.5), 0.5)]


BROKEN = {
    "no list": ({"annotations": []}, "is not a list of detections"),
    "empty": ([], "holds no detection"),
    "no record": ([5], "detection number 0 is 5"),
    "no box": ([found(), found(bbox=None)], "detection number 1 has bbox None"),
    "three numbers": ([found(bbox=[1, 2, 3])], r"bbox \[1, 2, 3\]"),
    "no score": ([found(score="high")], "score 'high'"),
    "id as text": ([found(image_id="7")], "image_id '7'; it must be a whole number"),
    "no category": ([found(category_id=None)], "category_id None"),
    "another image": (
        [found(), found(image_id=8)],
        r"1 of 2 detections name image ids that .*, the first is 8 \(it has 7 to 9\)",
    ),
    "another category": ([found(category_id=2)], "1 of 1 detections name category ids"),
    "corners": ([found(bbox=[100, 20, 190, 90]), found(bbox=[30, 60, 60, 99])], r"2 of 2 boxes .*\[x0, y0, x1, y1\]"),
    "another size": ([found(bbox=[600, 100, 200, 300])] * 8, "8 of 8 boxes leave their image; they must be"),
    "fractions": ([found(bbox=[0.1, 0.2, 0.5, 0.5])] * 8, "look like fractions of the image"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_damage_is_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, content)
    assert "found.json" in str(caught.value)


def test_a_few_boxes_over_the_border_are_no_alarm(tmp_path: Path) -> None:
    hanging = [found(bbox=[190, 90, 30, 30])] * 2
    assert len(read(tmp_path, [found()] * 8 + hanging)[7]) == 10
