"""LVIS files: COCO's layout, with images that only `coco_url` finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.data.records import HEIGHT, WIDTH, annotation, write_coco, write_image

from samlet.data import open_data
from samlet.errors import DataError


def lvis_image(number: int, split: str, **changes: Any) -> dict[str, Any]:
    url = f"http://images.cocodataset.org/{split}/{number:012}.jpg"
    fields = {"id": number, "width": WIDTH, "height": HEIGHT, "coco_url": url}
    return fields | {"neg_category_ids": [7], "not_exhaustive_category_ids": []} | changes


def lvis_file(folder: Path, *images: dict[str, Any]) -> Path:
    items = [annotation(image["id"], image_id=image["id"]) for image in images]
    for item in items:
        del item["iscrowd"]  # LVIS knows no crowds
    return write_coco(folder, images=list(images), annotations=items)


def test_each_image_comes_from_its_split(tmp_path: Path) -> None:
    path = lvis_file(tmp_path, lvis_image(9, "val2017"), lvis_image(4, "train2017"))
    for place in ("val2017/000000000009.jpg", "train2017/000000000004.jpg"):
        write_image(tmp_path / "coco" / place)
    first, second = open_data([path], tmp_path / "coco").samples
    assert (first.name, first.image_id) == ("train2017/000000000004", 4)
    assert first.image == tmp_path / "coco" / "train2017" / "000000000004.jpg"
    assert second.image == tmp_path / "coco" / "val2017" / "000000000009.jpg"
    assert [found.crowd for sample in (first, second) for found in sample.annotations] == [False, False]


def test_a_flat_folder_serves_too(tmp_path: Path) -> None:
    write_image(tmp_path / "000000000009.jpg")
    [sample] = open_data([lvis_file(tmp_path, lvis_image(9, "val2017"))], tmp_path).samples
    assert sample.image == tmp_path / "000000000009.jpg"


def test_what_is_missing_is_named_with_its_split(tmp_path: Path) -> None:
    write_image(tmp_path / "val2017" / "000000000009.jpg")
    path = lvis_file(tmp_path, lvis_image(9, "val2017"), lvis_image(4, "train2017"))
    with pytest.raises(DataError, match=r"1 of 2 images are missing: train2017/000000000004\.jpg"):
        open_data([path], tmp_path)


@pytest.mark.parametrize("url", [None, 5, "", "000000000009.jpg", "http://host/000000000009.jpg"])
def test_a_url_without_split_is_refused(tmp_path: Path, url: Any) -> None:
    with pytest.raises(DataError, match=r"image 9 has coco_url .*in which split"):
        open_data([lvis_file(tmp_path, lvis_image(9, "val2017", coco_url=url))], tmp_path)
