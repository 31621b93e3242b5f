"""labelme files → samples: every shape by its area, groups, where the image lies, and damage named file and shape."""

from __future__ import annotations

import base64
import io
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from samlet.data import open_data
from samlet.errors import DataError

SIDE = 100


def shape(kind: str | None = "polygon", points: Any = None, **changes: Any) -> dict[str, Any]:
    points = [[10, 20], [30, 20], [30, 50], [10, 50]] if points is None else points
    return {"label": "leaf", "points": points, "group_id": None, "shape_type": kind, "flags": {}} | changes


def write(path: Path, shapes: Any, image: str | None = None, **changes: Any) -> Path:
    """A labelme file, and the image it names unless that is elsewhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = image or f"{path.stem}.png"
    fields = {"version": "5.5.0", "shapes": shapes, "imagePath": name, "imageData": None}
    path.write_text(json.dumps(fields | {"imageHeight": SIDE, "imageWidth": SIDE} | changes))
    if image is None:
        draw_image(path.with_name(name))
    return path


def draw_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((SIDE, SIDE, 3), np.uint8)).save(path)


def opened(path: Path):
    [sample] = open_data([path]).samples
    return sample


AREAS = {
    "polygon": (shape(), 20 * 30),
    "before version 4": (shape(None), 20 * 30),
    "rectangle": (shape("rectangle", [[40, 40], [60, 70]]), 20 * 30),
    "rectangle, drawn upwards": (shape("rectangle", [[60, 70], [40, 40]]), 20 * 30),
    "circle": (shape("circle", [[50, 50], [50, 70]]), math.pi * 20**2),
    "half outside": (shape("rectangle", [[90, 0], [110, 10]]), 10 * 10),
    "outside": (shape("rectangle", [[200, 0], [210, 10]]), 0),
    "circle of radius 0": (shape("circle", [[50, 50], [50, 50]]), 0),
}


@pytest.mark.parametrize(("drawn", "area"), AREAS.values(), ids=AREAS.keys())
def test_a_shape_is_the_mask_it_encloses(tmp_path: Path, drawn: dict[str, Any], area: float) -> None:
    [mask] = opened(write(tmp_path / "a_1.json", [drawn])).annotations
    assert mask.area_px == pytest.approx(area, rel=0.03, abs=3)
    assert mask.area_px == mask.to_array().sum()
    assert mask.category == "leaf"


def test_a_polygon_lies_where_it_was_drawn(tmp_path: Path) -> None:
    [mask] = opened(write(tmp_path / "a_1.json", [shape()])).annotations
    assert mask.box_xywh == (10, 20, 20, 30)


def test_parts_of_a_group_are_one_object_but_another_label_is_another(tmp_path: Path) -> None:
    left = shape("rectangle", [[0, 0], [10, 10]], group_id=1)
    right = shape("rectangle", [[50, 0], [60, 10]], group_id=1)
    other = shape("rectangle", [[80, 0], [90, 10]], group_id=1, label="stem")
    alone = shape("rectangle", [[0, 80], [10, 90]])
    masks = opened(write(tmp_path / "a_1.json", [left, other, right, alone])).annotations
    assert [(mask.category, mask.area_px) for mask in masks] == [("leaf", 200), ("stem", 100), ("leaf", 100)]
    assert [mask.id for mask in masks] == [0, 1, 2]


def png_of(mask: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize("mask", [np.eye(21, 11) > 0, np.eye(21, 11, dtype=np.uint8) * 255], ids=["1 bit", "8 bits"])
def test_a_mask_of_a_model_covers_both_corners_of_its_box(tmp_path: Path, mask: np.ndarray) -> None:
    drawn = shape("mask", [[30, 40], [40, 60]], mask=png_of(mask))
    [found] = opened(write(tmp_path / "a_1.json", [drawn])).annotations
    np.testing.assert_array_equal(found.to_array()[40:61, 30:41], mask > 0)
    assert found.area_px == 11


def test_a_mask_is_cut_at_the_border_and_joins_its_group(tmp_path: Path) -> None:
    full = png_of(np.ones((11, 11), bool))
    drawn = [
        shape("mask", [[-5, 95], [5, 105]], mask=full, group_id=1),
        shape("rectangle", [[50, 0], [60, 10]], group_id=1),
        shape("mask", [[200, 200], [210, 210]], mask=full),
    ]
    joined, outside = opened(write(tmp_path / "a_1.json", drawn)).annotations
    assert joined.area_px == 6 * 5 + 100
    assert outside.area_px == 0


@pytest.mark.parametrize("kind", ["rectangle", "rotation", "oriented_rectangle"])
def test_a_rectangle_of_four_corners_may_be_turned(tmp_path: Path, kind: str) -> None:
    drawn = shape(kind, [[50, 10], [90, 50], [50, 90], [10, 50]])
    [mask] = opened(write(tmp_path / "a_1.json", [drawn])).annotations
    assert mask.area_px == pytest.approx(2 * 40**2, rel=0.03)


def test_an_image_inside_the_file_counts_where_the_image_is_gone(tmp_path: Path) -> None:
    inside = png_of(np.full((SIDE, SIDE, 3), 90, np.uint8))
    path = write(tmp_path / "a_1.json", [shape()], "C:\\gone\\photo.png", imageData=inside)
    for source in (path, tmp_path):
        sample = opened(source)
        assert (sample.name, len(sample.annotations)) == ("a_1", 1)
        assert (sample.read_image() == 90).all()
        assert pickle.loads(pickle.dumps(sample)) == sample  # noqa: S301 our own bytes
    draw_image(tmp_path / "photo.png")
    assert (opened(path).read_image() == 0).all()
    write(tmp_path / "b" / "a_2.json", [shape()], "gone.png", imageData="no base64!")
    with pytest.raises(DataError, match=r"a_2\.json, imageData cannot be read as base64"):
        opened(tmp_path / "b").read_image()


def test_points_and_lines_are_no_masks(tmp_path: Path) -> None:
    drawn = [shape("point", [[5, 5]]), shape("line", [[0, 0], [9, 9]]), shape("linestrip", [[0, 0], [9, 9], [9, 0]])]
    assert opened(write(tmp_path / "a_1.json", drawn)).annotations == ()


def test_a_folder_may_hold_both_kinds_and_plain_photos(tmp_path: Path) -> None:
    write(tmp_path / "set_1.json", [shape()])
    draw_image(tmp_path / "set_2.png")
    segmentation = {"size": [SIDE, SIDE], "counts": [0, 10, SIDE * SIDE - 10]}
    record = {"id": 3, "bbox": [0, 0, 1, 10], "area": 10, "segmentation": segmentation}
    size = {"width": SIDE, "height": SIDE}
    (tmp_path / "set_2.json").write_text(json.dumps({"image": size, "annotations": [record]}))
    draw_image(tmp_path / "set_3.png")
    samples = open_data([tmp_path]).samples
    assert [(sample.name, len(sample.annotations)) for sample in samples] == [("set_1", 1), ("set_2", 1), ("set_3", 0)]


@pytest.mark.parametrize("named", ["../photos/p.png", "..\\photos\\p.png"])
def test_the_image_may_lie_elsewhere(tmp_path: Path, named: str) -> None:
    draw_image(tmp_path / "photos" / "p.png")
    write(tmp_path / "labels" / "set_1.json", [shape()], named)
    sample = opened(tmp_path / "labels")
    assert sample.name == "set_1"
    assert sample.read_image().shape == (SIDE, SIDE, 3)


def test_an_image_that_moved_with_its_file_is_found_and_counts_once(tmp_path: Path) -> None:
    draw_image(tmp_path / "photo.png")
    write(tmp_path / "drawn.json", [shape()], "C:\\old\\photo.png")
    assert opened(tmp_path).name == "drawn"


def test_a_file_alone_is_data_too_and_a_missing_image_is_missing(tmp_path: Path) -> None:
    assert len(opened(write(tmp_path / "a_1.json", [shape()])).annotations) == 1
    lonely = write(tmp_path / "b" / "a_2.json", [shape()], "gone.png")
    with pytest.raises(DataError, match=r"1 of 1 images are missing: gone\.png"):
        open_data([lonely])


BROKEN = {
    "no list": ("text", r"a_1\.json has 'shapes' that are no list"),
    "no record": ([5], r"a_1\.json, shape 0 is 5"),
    "no points": ([shape(), {"label": "x", "shape_type": "polygon"}], r"a_1\.json, shape 1 has points None"),
    "point": ([shape(points=[[1, 2], [3]])], r"shape 0 has point \[3\]"),
    "text": ([shape(points=[[1, 2], ["a", 3]])], r"shape 0 has point \['a', 3\]"),
    "NaN": ([shape(points=[[1, 2], [float("nan"), 3]])], r"shape 0 has point \[nan, 3\]"),
    "far": ([shape(points=[[1, 2], [1e9, 3], [3, 4]])], r"a_1\.json, shape 0 \('leaf'\): .*1,000 pixels away"),
    "two corners": ([shape(points=[[1, 2], [3, 4]])], "shape 0 is a polygon of 2 points; it needs 3"),
    "rectangle": ([shape("rectangle", [[1, 2]])], "shape 0 is a rectangle of 1 points; it has 2"),
    "mask of another size": (
        [shape("mask", [[0, 0], [10, 10]], mask=png_of(np.ones((5, 5), bool)))],
        "shape 0, mask has 5 x 5 pixels, which is not the box of 10 x 10",
    ),
    "mask without a picture": ([shape("mask", [[0, 0], [10, 10]], mask=None)], "shape 0, mask holds no picture"),
    "mask that is no picture": ([shape("mask", [[0, 0], [9, 9]], mask="AAAA")], "shape 0, mask is not an image"),
    "mask of one corner": ([shape("mask", [[0, 0]], mask="AAAA")], "shape 0, mask lies between 1 corners"),
    "rotated of 3": ([shape("rotation", [[1, 2], [3, 4], [5, 5]])], "is a rotation of 3 points; it has 2 or 4"),
    "kind": (
        [shape("cuboid")],
        "shape 0 has shape_type 'cuboid'; samlet reads polygons, rectangles, circles and masks",
    ),
}


@pytest.mark.parametrize(("shapes", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_damage_is_named(tmp_path: Path, shapes: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_data([write(tmp_path / "a_1.json", shapes)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imageHeight": None}, r"a_1\.json states no valid image height"),
        ({"imagePath": None}, r"a_1\.json has imagePath None"),
    ],
)
def test_a_file_without_its_image_or_size_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_data([write(tmp_path / "a_1.json", [shape()], **changes)])


def test_a_folder_of_folders_and_a_coco_file_among_images_get_advice(tmp_path: Path) -> None:
    draw_image(tmp_path / "photos" / "cats" / "c.png")
    with pytest.raises(DataError, match=r"holds no image .*but 1 of its sub-folders do: give those, as .*cats"):
        open_data([tmp_path / "photos"])
    (tmp_path / "photos" / "cats" / "all.json").write_text(json.dumps({"images": [], "annotations": []}))
    with pytest.raises(DataError, match=r"all\.json is a COCO file: give it to --data itself, and .*cats to --images"):
        open_data([tmp_path / "photos" / "cats"])
