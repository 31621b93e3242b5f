"""What is written is read again: by the programs whose formats they are where those install, by our readers always."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from tests.filling import filled

from samlet.data import open_data
from samlet.data.labelme import parse_record
from samlet.data.writing import COCO_FILE, SUFFIXES, coco_content, content, name_of
from samlet.geometry import rle
from samlet.masks import Mask, MaskSet

SIZE_HW = (60, 90)


def arrays():
    """A ring, two parts of one object, and one pixel in a corner."""
    y, x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    away = np.hypot(x - 30, y - 30)
    ring = (away < 22) & (away > 9)
    parts = np.zeros(SIZE_HW, bool)
    parts[5:20, 60:72] = parts[30:50, 66:88] = True
    corner = np.zeros(SIZE_HW, bool)
    corner[59, 0] = True
    return ring, parts, corner


@pytest.fixture
def masks():
    return MaskSet([Mask(rle.encode(array), iou=0.8, stability=0.9) for array in arrays()], SIZE_HW)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "coffee.jpg"
    Image.new("RGB", SIZE_HW[::-1]).save(path)
    return path


def written(form, masks, photo):
    path = photo.parent / name_of(form, photo)
    path.write_bytes(content(form, masks, photo.name, photo.name, 0))
    return path


def iou(first, second):
    return (first & second).sum() / (first | second).sum()


def test_an_sa1b_record_is_read_again_exactly(masks, photo):
    written("sa1b", masks, photo)
    (sample,) = open_data([photo.parent]).samples
    assert [annotation.rle for annotation in sample.annotations] == [mask.rle for mask in masks]


def test_pycocotools_reads_the_one_file_of_two_images(masks, tmp_path):
    (tmp_path / COCO_FILE).write_bytes(coco_content([("a.jpg", masks), ("b.jpg", masks[:2])]))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(tmp_path / COCO_FILE)
    assert [coco.imgs[number]["file_name"] for number in coco.getImgIds()] == ["a.jpg", "b.jpg"]
    assert coco.getAnnIds() == [1, 2, 3, 4, 5]
    assert coco.loadCats(coco.getCatIds()) == [{"id": 1, "name": "object"}]
    for annotation, expected in zip(coco.loadAnns(coco.getAnnIds(1)), masks, strict=True):
        assert rle.from_json(coco.annToRLE(annotation)) == expected.rle
        assert annotation["bbox"] == list(expected.box_xywh)


def test_our_reader_takes_the_coco_file(masks, photo):
    (photo.parent / COCO_FILE).write_bytes(coco_content([(photo.name, masks)]))
    (sample,) = open_data([photo.parent / COCO_FILE], photo.parent).samples
    assert [annotation.rle for annotation in sample.annotations] == [mask.rle for mask in masks]


def test_labelme_files_come_back_as_the_same_objects(masks, photo):
    path = written("labelme", masks, photo)
    sample = parse_record(json.loads(path.read_text()), "coffee", photo, str(path))
    assert len(sample.annotations) == len(masks)
    for annotation, array in zip(sample.annotations, arrays(), strict=True):
        assert annotation.category == "object"
        assert iou(annotation.to_array(), array) > 0.9


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # labelme leaves the photo open
def test_labelme_itself_opens_the_file(masks, photo):
    try:
        from labelme._label_file import LabelFile
    except ImportError as error:
        pytest.skip(f"labelme is not installed here: {error}")
    opened = LabelFile(str(written("labelme", masks, photo)))
    assert opened.image_path == "coffee.jpg"
    assert [shape["group_id"] for shape in opened.shapes] == [None, 1, 1, None]
    assert {shape["label"] for shape in opened.shapes} == {"object"}


def test_yolo_lines_are_polygons_in_shares_of_the_image(masks, photo):
    lines = written("yolo", masks, photo).read_text().splitlines()
    assert len(lines) == 3
    for line, array in zip(lines, arrays(), strict=True):
        number, *shares = line.split()
        corners = np.array(shares, float).reshape(-1, 2)
        assert number == "0"
        assert ((corners >= 0) & (corners <= 1)).all()
        assert iou(filled([corners * SIZE_HW[::-1]], SIZE_HW), array) > 0.9


@pytest.mark.parametrize("form", ["geojson", "polygons"])
def test_outlines_have_their_holes(form, masks, photo):
    record = json.loads(written(form, masks, photo).read_text())
    if form == "geojson":
        geometries = [feature["geometry"] for feature in record["features"]]
        assert [geometry["type"] for geometry in geometries] == ["Polygon", "MultiPolygon", "Polygon"]
        parts = [[g["coordinates"]] if g["type"] == "Polygon" else g["coordinates"] for g in geometries]
        assert all(ring[0] == ring[-1] for part in parts for polygon in part for ring in polygon)
    else:
        parts = [annotation["polygons"] for annotation in record["annotations"]]
        assert "segmentation" not in record["annotations"][0]
    assert [[len(polygon) for polygon in part] for part in parts] == [[2], [1, 1], [1]]
    for part, array in zip(parts, arrays(), strict=True):
        assert iou(filled([np.array(ring) for polygon in part for ring in polygon], SIZE_HW), array) > 0.9


def test_geojson_turns_as_its_standard_says(masks, photo):
    outer, hole = json.loads(written("geojson", masks, photo).read_text())["features"][0]["geometry"]["coordinates"]
    assert signed_area(outer) > 0 > signed_area(hole)


def signed_area(ring):
    x, y = np.array(ring).T
    return (x[:-1] * y[1:] - x[1:] * y[:-1]).sum()


@pytest.mark.parametrize("form", SUFFIXES)
def test_no_masks_and_empty_masks_are_written_too(form, photo):
    empty = Mask(rle.encode(np.zeros(SIZE_HW, bool)))
    for masks in (MaskSet([], SIZE_HW), MaskSet([empty], SIZE_HW)):
        path = written(form, masks, photo)
        assert form == "yolo" or json.loads(path.read_text())


def test_every_format_of_an_image_has_a_name_of_its_own():
    assert len({name_of(form, Path("coffee.jpg")) for form in SUFFIXES}) == len(SUFFIXES)
