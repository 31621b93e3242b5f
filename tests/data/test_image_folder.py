"""Folders on disk → samples: order, sources, sizes, and every kind of damaged record named in the error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from samlet.data import open_folders
from samlet.errors import DataError

HEIGHT, WIDTH = 6, 8


def square() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[1:4, 2:6] = True
    return mask


def segmentation(mask: np.ndarray) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def annotation(**changes: Any) -> dict[str, Any]:
    return {"id": 7, "bbox": [2, 1, 4, 3], "area": 12, "segmentation": segmentation(square())} | changes


def write_image(folder: Path, name: str, size_hw: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size_hw, 3), 90, np.uint8)).save(folder / name)


def write_record(folder: Path, name: str, annotations: Any) -> None:
    image = {"width": WIDTH, "height": HEIGHT, "file_name": f"{name}.jpg"}
    (folder / f"{name}.json").write_text(json.dumps({"image": image, "annotations": annotations}))


def folder_with(tmp_path: Path, annotations: Any) -> Path:
    write_image(tmp_path, "pets_1.jpg")
    write_record(tmp_path, "pets_1", annotations)
    return tmp_path


def test_an_annotated_image_brings_mask_box_and_area(tmp_path: Path) -> None:
    [sample] = open_folders([folder_with(tmp_path, [annotation()])])
    assert (sample.name, sample.source, sample.size_hw) == ("pets_1", "pets", (HEIGHT, WIDTH))
    [found] = sample.annotations
    assert found.box_xywh == (2.0, 1.0, 4.0, 3.0)
    assert found.area_px == 12.0
    np.testing.assert_array_equal(found.to_array(), square())
    assert sample.read_image().shape == (HEIGHT, WIDTH, 3)


def test_plain_counts_are_read_too(tmp_path: Path) -> None:
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[2], square().T.ravel(), [2]])))).tolist()
    plain = {"size": [HEIGHT, WIDTH], "counts": runs}
    [sample] = open_folders([folder_with(tmp_path, [annotation(segmentation=plain)])])
    np.testing.assert_array_equal(sample.annotations[0].to_array(), square())


def test_an_area_the_record_omits_is_counted(tmp_path: Path) -> None:
    record = annotation()
    del record["area"]
    [sample] = open_folders([folder_with(tmp_path, [record])])
    assert sample.annotations[0].area_px == 12.0


def test_folders_come_in_the_given_order_and_files_by_name(tmp_path: Path) -> None:
    write_image(tmp_path / "b", "z_1.jpg")
    write_image(tmp_path / "b", "a_1.png")
    folder_with_masks = tmp_path / "a"
    write_image(folder_with_masks, "m_1.jpg")
    write_record(folder_with_masks, "m_1", [annotation()])
    samples = open_folders([tmp_path / "b", str(folder_with_masks)])
    assert [sample.name for sample in samples] == ["a_1", "z_1", "m_1"]
    assert [len(sample.annotations) for sample in samples] == [0, 0, 1]
    assert samples == open_folders([tmp_path / "b", str(folder_with_masks)])


def test_a_rotated_photo_has_its_upright_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (9, 5)).save(tmp_path / "phone_1.jpg", exif=exif)
    [sample] = open_folders([tmp_path])
    assert sample.size_hw == (9, 5)
    assert sample.read_image().shape == (9, 5, 3)


def test_an_image_of_another_size_than_its_record_is_refused_on_reading(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, [annotation()])
    write_image(folder, "pets_1.jpg", (5, 5))
    [sample] = open_folders([folder])
    with pytest.raises(DataError, match="the image is 5x5 but its annotations are for 8x6"):
        sample.read_image()


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ("none", "no list 'annotations'"),
        ([{"id": 7}], "annotation 7 has no 'segmentation'"),
        (["mask"], "annotation number 0 has no 'segmentation'"),
        ([annotation(segmentation=[[0, 0, 4, 0, 4, 4]])], "annotation 7: A segmentation must be a run-length code"),
        ([annotation(segmentation={"size": 6, "counts": "0"})], "annotation 7: A segmentation must be"),
        ([annotation(segmentation={"size": [8, 6], "counts": "`1"})], r"its mask has \[8, 6\] rows and columns"),
        ([annotation(segmentation={"size": [6, 8], "counts": None})], "annotation 7: "),
        ([annotation(segmentation={"size": [6, 8], "counts": ["x"]})], "annotation 7: "),
        ([annotation(segmentation={"size": [6, 8], "counts": "T"})], "annotation 7: .*damaged"),
        ([annotation(segmentation={"size": [6, 8], "counts": ""})], "annotation 7: .*damaged"),
        ([annotation(segmentation={"size": [6, 8], "counts": [50, -2]})], "annotation 7: .*damaged"),
        ([annotation(bbox=[1, 2, 3])], "annotation 7 has bbox"),
        ([annotation(bbox=[1, 2, -3, 4])], "annotation 7 has bbox"),
        ([annotation(bbox="2, 1, 4, 3")], "annotation 7 has bbox '2, 1, 4, 3'"),
        ([annotation(area=-1)], "annotation 7 has area -1"),
        ([annotation(area="big")], "annotation 7 has area 'big'"),
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, annotations: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        open_folders([folder_with(tmp_path, annotations)])
    assert "pets_1.json" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"annotations": []}', '{"annotations": [], "image": {"width": 0}}'])
def test_a_file_that_is_no_record_is_named(tmp_path: Path, text: str) -> None:
    write_image(tmp_path, "pets_1.jpg")
    (tmp_path / "pets_1.json").write_text(text)
    with pytest.raises(DataError, match=r"pets_1\.json"):
        open_folders([tmp_path])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is not a folder"):
        open_folders([tmp_path / "nowhere"])


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no image"):
        open_folders([tmp_path])


def test_a_record_without_image_is_named(tmp_path: Path) -> None:
    write_image(tmp_path, "pets_1.jpg")
    write_record(tmp_path, "pets_2", [annotation()])
    with pytest.raises(DataError, match=r"1 records have no image, the first is pets_2\.json"):
        open_folders([tmp_path])


def test_one_name_in_two_folders_is_told_apart(tmp_path: Path) -> None:
    write_image(tmp_path / "a" / "cam", "x_1.jpg")
    write_image(tmp_path / "b" / "cam", "x_1.jpg")
    write_image(tmp_path / "b" / "cam", "y_1.jpg")
    samples = open_folders([tmp_path / "a" / "cam", tmp_path / "b" / "cam"])
    assert [sample.name for sample in samples] == ["a/cam/x_1", "b/cam/x_1", "y_1"]
    assert {sample.source for sample in samples} == {"x", "y"}
    with pytest.raises(DataError, match=r"x_1\.jpg is there twice"):
        open_folders([tmp_path / "a" / "cam", tmp_path / "a" / "cam"])


def test_two_images_of_one_stem_are_told_apart_and_the_record_says_whose_it_is(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, [annotation()])
    write_image(folder, "pets_1.png")
    jpg, png = open_folders([folder])
    assert [(sample.name, len(sample.annotations)) for sample in (jpg, png)] == [("pets_1.jpg", 1), ("pets_1.png", 0)]
    (folder / "pets_1.json").write_text((folder / "pets_1.json").read_text().replace("pets_1.jpg", "other.jpg"))
    with pytest.raises(DataError, match=r"pets_1\.json may belong to pets_1\.jpg or to pets_1\.png, .*'other\.jpg'"):
        open_folders([folder])


def test_a_record_that_names_another_photo_is_refused(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, [annotation()])
    write_image(folder, "pets_2.jpg")
    (folder / "pets_1.json").write_text((folder / "pets_1.json").read_text().replace("pets_1.jpg", "pets_2.jpg"))
    with pytest.raises(
        DataError, match=r"pets_1\.json lies beside pets_1\.jpg but names pets_2\.jpg, which is there too"
    ):
        open_folders([folder])


@pytest.mark.parametrize("missing", [{"bbox": None}, {"bbox": []}, {"area": None}, {"bbox": None, "area": None}])
def test_a_null_box_or_area_is_made_from_the_mask(tmp_path: Path, missing: dict[str, Any]) -> None:
    [sample] = open_folders([folder_with(tmp_path, [annotation(**missing)])])
    assert sample.annotations[0].box_xywh == (2, 1, 4, 3)
    assert sample.annotations[0].area_px == 12


def test_a_file_that_only_claims_to_be_an_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "x_1.jpg").write_bytes(b"not a jpeg")
    with pytest.raises(DataError, match=r"x_1\.jpg is not an image"):
        open_folders([tmp_path])
