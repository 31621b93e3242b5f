"""COCO files → samples: every form of a mask, ids that join, and every kind of damage named in the error."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.records import HEIGHT, SQUARE, WIDTH, annotation, image, square, write_coco, write_image

from samlet.data import Opened, open_data
from samlet.data.broken import Broken
from samlet.data.coco import pack_polygons
from samlet.errors import DataError
from samlet.geometry.rle import encode


def read(folder: Path, **changes: Any) -> Opened:
    path = write_coco(folder, **changes)
    for number in (1, 2):
        write_image(folder / "photos" / f"{number:03}.jpg")
    return open_data([path], folder / "photos")


def masks_of(folder: Path, *items: dict[str, Any]) -> list[np.ndarray]:
    [sample] = read(folder, annotations=list(items)).samples
    return [found.to_array() for found in sample.annotations]


def test_an_image_brings_its_annotations(tmp_path: Path) -> None:
    items = [annotation(1), annotation(2, image_id=2, category_id=7, bbox=[2.5, 1, 4, 3], iscrowd=1)]
    first, second = read(tmp_path, images=[image(2), image(1)], annotations=items).samples
    assert (first.name, first.source, first.size_hw, first.image_id) == ("001", "instances", (HEIGHT, WIDTH), 1)
    assert (second.name, second.image_id) == ("002", 2)
    assert first.read_image().shape == (HEIGHT, WIDTH, 3)
    [mine], [crowd] = first.annotations, second.annotations
    assert (mine.id, mine.box_xywh, mine.area_px, mine.category, mine.crowd) == (1, (2, 1, 4, 3), 12.0, "boat", False)
    assert (crowd.box_xywh, crowd.category, crowd.crowd) == ((2.5, 1, 4, 3), "gull", True)


compressed = encode(square())
FORMS = {
    "polygon": [SQUARE],
    "polygon of floats": [[float(number) for number in SQUARE]],
    "two parts": [[2, 1, 4, 1, 4, 4, 2, 4], [4, 1, 6, 1, 6, 4, 4, 4]],
    "overlapping parts": [SQUARE, [3, 1, 6, 1, 6, 4, 3, 4]],
    "a part that is a line": [SQUARE, [0, 0, 7, 5]],
    "a part that is a point": [[0, 0], SQUARE],
    "compressed": {"size": [HEIGHT, WIDTH], "counts": compressed["counts"].decode()},
    "uncompressed": {"size": [HEIGHT, WIDTH], "counts": [13, 3, 3, 3, 3, 3, 3, 3, 14]},
}


@pytest.mark.parametrize("segmentation", FORMS.values(), ids=FORMS.keys())
def test_every_form_of_a_mask_is_read(tmp_path: Path, segmentation: Any) -> None:
    [mask] = masks_of(tmp_path, annotation(segmentation=segmentation))
    np.testing.assert_array_equal(mask, square())


def test_parts_that_do_not_touch_are_one_mask(tmp_path: Path) -> None:
    [mask] = masks_of(tmp_path, annotation(segmentation=[[0, 0, 2, 0, 2, 2, 0, 2], [6, 4, 8, 4, 8, 6, 6, 6]]))
    assert mask[:2, :2].all()
    assert mask[4:, 6:].all()
    assert mask.sum() == 8


def test_what_lies_outside_the_image_is_cut_off(tmp_path: Path) -> None:
    left, around, outside = masks_of(
        tmp_path,
        annotation(1, segmentation=[[-5, 1, 3, 1, 3, 4, -5, 4]]),
        annotation(2, segmentation=[[-5, -5, 50, -5, 50, 50, -5, 50]]),
        annotation(3, segmentation=[[20, 20, 30, 20, 30, 30, 20, 30]]),
    )
    assert left[1:4, :3].all()
    assert left.sum() == 9
    assert around.all()
    assert not outside.any()


@pytest.mark.parametrize("segmentation", [[], [[]], [[1, 1]], [[1, 1, 3, 3]], {"size": [6, 8], "counts": [48]}])
def test_a_mask_of_no_pixel_is_read_as_one(tmp_path: Path, segmentation: Any) -> None:
    item = annotation(segmentation=segmentation, area=0, bbox=[1, 1, 0, 0])
    [sample] = read(tmp_path, annotations=[item]).samples
    assert sample.annotations[0].area_px == 0
    assert not sample.annotations[0].to_array().any()


def test_an_image_without_annotations_is_a_sample(tmp_path: Path) -> None:
    samples = read(tmp_path, images=[image(1), image(2)]).samples
    assert [len(sample.annotations) for sample in samples] == [1, 0]


def test_files_without_kinds_have_no_categories(tmp_path: Path) -> None:
    path = write_coco(tmp_path)
    write_image(tmp_path / "001.jpg")
    path.write_text(path.read_text().replace('"categories"', '"other"'))
    [sample] = open_data([path], tmp_path).samples
    assert sample.annotations[0].category is None


@pytest.mark.parametrize("place", ["001.jpg", "val2017/001.jpg"])
def test_images_lie_in_the_folder_or_in_its_split(tmp_path: Path, place: str) -> None:
    path = write_coco(tmp_path, images=[image(coco_url="http://images.cocodataset.org/val2017/001.jpg")])
    write_image(tmp_path / "coco" / place)
    [sample] = open_data([path], tmp_path / "coco").samples
    assert sample.image == tmp_path / "coco" / place


def test_images_of_sub_folders_keep_their_names_apart(tmp_path: Path) -> None:
    path = write_coco(tmp_path, images=[image(1, file_name="a/1.jpg"), image(2, file_name="b/1.jpg")])
    write_image(tmp_path / "a" / "1.jpg")
    write_image(tmp_path / "b" / "1.jpg")
    samples = open_data([path], tmp_path).samples
    assert [(sample.name, sample.image) for sample in samples] == [
        ("a/1", tmp_path / "a" / "1.jpg"),
        ("b/1", tmp_path / "b" / "1.jpg"),
    ]


BROKEN = {
    "no image": ({"images": []}, "lists no image"),
    "images missing": ({"images": None}, "no list 'images'"),
    "annotations missing": ({"annotations": None}, "no list 'annotations'"),
    "image no record": ({"images": ["001.jpg"]}, "number 0 of 'images' is not a record"),
    "image without id": ({"images": [{"file_name": "001.jpg"}]}, "image number 0 has id None"),
    "two images with one id": ({"images": [image(), image()]}, "two images with id 1"),
    "two annotations with one id": ({"annotations": [annotation(), annotation()]}, "two annotations with id 1"),
    "image without size": ({"images": [{"id": 1, "file_name": "001.jpg"}]}, "image 1 states no valid .* height"),
    "image without name": ({"images": [image(file_name=None)]}, "image 1 has no 'file_name'"),
    "unknown image": (
        {"annotations": [annotation(), annotation(2, image_id=9), annotation(3, image_id="1")]},
        "2 annotations have a image_id that the file does not list, the first is annotation 2 with 9",
    ),
    "unknown category": ({"annotations": [annotation(category_id=9)]}, "1 annotations have a category_id .* with 9"),
    "boxes only": ({"annotations": [{"id": 1, "image_id": 1, "category_id": 3}]}, "annotation 1 has no 'segmentation'"),
    "crowd": ({"annotations": [annotation(iscrowd="yes")]}, "annotation 1 has iscrowd 'yes'"),
    "odd polygon": ({"annotations": [annotation(segmentation=[SQUARE[:-1]])]}, "annotation 1: .*even count"),
    "nested polygon": ({"annotations": [annotation(segmentation=[[SQUARE]])]}, "annotation 1: .*flat list"),
    "flat polygon": ({"annotations": [annotation(segmentation=SQUARE)]}, "annotation 1: .*list of polygons.*flat list"),
    "worded polygon": ({"annotations": [annotation(segmentation=[["a", 1] * 3])]}, "annotation 1: .*list of numbers"),
    "ragged polygon": ({"annotations": [annotation(segmentation=[[[1], 2, 3]])]}, "annotation 1: .*list of numbers"),
    "NaN corner": ({"annotations": [annotation(segmentation=[[*SQUARE[:-1], float("nan")]])]}, "no number or more"),
    "far corner": ({"annotations": [annotation(segmentation=[[*SQUARE[:-1], 1e9]])]}, "more than 1,000 pixels"),
    "text": ({"annotations": [annotation(segmentation="polygon")]}, "annotation 1: A segmentation must be"),
    "mask of another size": (
        {"annotations": [annotation(segmentation={"size": [8, 6], "counts": [48]})]},
        r"annotation 1: its mask has \[8, 6\] rows and columns, but the image has \[6, 8\]",
    ),
    "pairs": (
        {"annotations": [annotation(segmentation=[[[2, 1], [6, 1], [6, 4]]])]},
        r"annotation 1: A polygon must be a flat list \[x0, y0, .*not a list of pairs",
    ),
    "long outline": (
        {"annotations": [annotation(segmentation=[[0, 0, 900, 900] * 1200])]},
        "outline is .* pixels long",
    ),
    "no text": (
        {"annotations": [annotation(segmentation={"size": [6, 8], "counts": "\ud800"})]},
        "annotation 1: A run-length code holds foreign characters",
    ),
    "endless size": (
        {"annotations": [annotation(segmentation={"size": [float("inf"), 8], "counts": "0"})]},
        "annotation 1: A segmentation must be",
    ),
    "huge image": ({"images": [image(width=10**9, height=10**9)]}, "image 1 states an image of 1000000000 x"),
    "box": ({"annotations": [annotation(bbox=[1, 2, 3])]}, "annotation 1 has bbox"),
    "huge box": ({"annotations": [annotation(bbox=[1, 2, 10**400, 1])]}, "annotation 1 has bbox"),
    "area": ({"annotations": [annotation(area=-1)]}, "annotation 1 has area -1"),
}


FRACTIONS = [number / (HEIGHT if place % 2 else WIDTH) for place, number in enumerate(SQUARE)]


def test_polygons_in_fractions_beside_boxes_in_pixels_are_read_and_told(tmp_path: Path) -> None:
    items = [annotation(1), annotation(2, segmentation=[FRACTIONS])]
    path = write_coco(tmp_path, annotations=items)
    write_image(tmp_path / "001.jpg")
    told: list[str] = []
    [sample] = open_data([path], tmp_path, tell=told.append).samples
    pixels, fractions = sample.annotations
    np.testing.assert_array_equal(fractions.to_array(), pixels.to_array())
    assert fractions.box_xywh == (2, 1, 4, 3)
    assert told == [f"{path}: the polygons of 1 annotations are fractions of the image; read as such."]


@pytest.mark.parametrize("box", [None, [number / 8 for number in (2, 1, 4, 3)]], ids=["no box", "box"])
def test_several_polygons_in_fractions_and_no_others_need_no_box(tmp_path: Path, box: list[float] | None) -> None:
    items = [annotation(number, segmentation=[FRACTIONS], bbox=box, area=0.2) for number in range(1, 9)]
    [sample] = read(tmp_path, annotations=items).samples
    for found in sample.annotations:
        np.testing.assert_array_equal(found.to_array(), square())
        assert (found.box_xywh, found.area_px) == ((2, 1, 4, 3), 12)


def test_a_polygon_in_one_pixel_is_no_fraction(tmp_path: Path) -> None:
    tiny = annotation(2, segmentation=[[0, 0, 1, 0, 1, 1, 0, 1]], bbox=[0, 0, 1, 1], area=None)
    assert masks_of(tmp_path, annotation(1), tiny)[1].sum() == 1
    assert masks_of(tmp_path, tiny)[0].sum() == 1


@pytest.mark.parametrize(("changes", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_damage_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, **changes)
    assert "instances.json" in str(caught.value)


@pytest.mark.parametrize("part", [["a", "b"], "text", [[1, 2], [3, 4]], [1, None]], ids=str)
def test_what_packing_cannot_read_is_named_as_ever(tmp_path: Path, part: Any) -> None:
    with pytest.raises(DataError, match="annotation 1: A polygon"):
        masks_of(tmp_path, annotation(segmentation=[part]))


def test_polygons_are_packed_and_other_masks_are_not() -> None:
    packed = pack_polygons({"segmentation": [[1, 2.5], [], None]})
    assert packed["segmentation"] == [array("d", [1, 2.5]), array("d"), None]
    compressed = {"segmentation": {"size": [1, 1], "counts": "1"}}
    assert pack_polygons(dict(compressed)) == compressed
    assert pack_polygons({"id": 1}) == {"id": 1}


def test_bad_annotations_are_named_and_passed_over_where_allowed(tmp_path: Path) -> None:
    """A mask, a box, and ids that lead nowhere; the images and the sound annotations stay."""
    items = [
        annotation(1),
        annotation(2, segmentation=[[1, 2, 3]]),
        annotation(3, bbox=[0, 0, -1, 2]),
        annotation(4, image_id=99),
        annotation(5, image_id=98),
        annotation(6, category_id=55),
        annotation(7, image_id=2),
    ]
    path = write_coco(tmp_path, images=[image(1), image(2)], annotations=items)
    for number in (1, 2):
        write_image(tmp_path / "photos" / f"{number:03}.jpg")
    told: list[str] = []
    broken = Broken(5, told.append)
    first, second = open_data([path], tmp_path / "photos", broken=broken).samples
    assert [each.id for each in (*first.annotations, *second.annotations)] == [1, 7]
    assert {*broken.reasons} == {f"{path.name}, annotation {number}" for number in (2, 3, 4, 5, 6)}
    assert "annotation 5 with 98" in broken.reasons[f"{path.name}, annotation 5"]
    assert len(told) == 5
    with pytest.raises(DataError, match="more than --max-broken 4 allows"):
        open_data([path], tmp_path / "photos", broken=Broken(4))
    with pytest.raises(DataError, match="2 annotations have a image_id that the file does not list"):
        open_data([path], tmp_path / "photos")


def passed_over(folder: Path, **changes: Any) -> tuple[Opened, dict[str, str]]:
    """What is read of a file where nine records may be broken, and why others are not."""
    path = write_coco(folder, **changes)
    for number in (1, 2):
        write_image(folder / "photos" / f"{number:03}.jpg")
    broken = Broken(9)
    return open_data([path], folder / "photos", broken=broken), broken.reasons


def test_of_annotations_with_one_id_the_first_is_read(tmp_path: Path) -> None:
    items = [annotation(1), annotation(1, segmentation=[[0, 0, 2, 0, 2, 2]]), annotation(2), annotation(1)]
    opened, reasons = passed_over(tmp_path, annotations=items)
    assert [each.id for each in opened.samples[0].annotations] == [1, 2]
    assert [*reasons] == [f"instances.json, annotation 1 once more (number {number})" for number in (1, 3)]


def test_an_image_listed_again_is_passed_over(tmp_path: Path) -> None:
    opened, reasons = passed_over(tmp_path, images=[image(1), image(1), image(2)])
    assert [(sample.name, len(sample.annotations)) for sample in opened.samples] == [("001", 1), ("002", 0)]
    assert [*reasons] == ["instances.json, image 1 once more (number 1)"]


def test_of_two_images_with_one_id_none_is_guessed(tmp_path: Path) -> None:
    opened, reasons = passed_over(
        tmp_path,
        images=[image(1), image(1, file_name="002.jpg"), image(2)],
        annotations=[annotation(1), annotation(2, image_id=2)],
    )
    assert [(sample.name, len(sample.annotations)) for sample in opened.samples] == [("002", 1)]
    assert "1 annotations have a image_id that the file lists twice" in reasons["instances.json, annotation 1"]


def test_of_two_categories_with_one_id_none_is_guessed(tmp_path: Path) -> None:
    kinds = [{"id": 3, "name": "boat"}, {"id": 3, "name": "ship"}, {"id": 7, "name": "gull"}, {"id": 7, "name": "gull"}]
    items = [annotation(1), annotation(2, category_id=7)]
    opened, reasons = passed_over(tmp_path, categories=kinds, annotations=items)
    assert [each.category for each in opened.samples[0].annotations] == ["gull"]
    assert len(reasons) == 3


@pytest.mark.parametrize(
    "bad", [image(2, file_name=None), image(2, width=None), image(2, file_name="001.jpg"), image("2")], ids=str
)
def test_one_broken_record_of_an_image_is_passed_over(tmp_path: Path, bad: dict[str, Any]) -> None:
    opened, reasons = passed_over(tmp_path, images=[image(1), bad])
    assert [sample.name for sample in opened.samples] == ["001"]
    assert len(reasons) == 1


def test_a_file_of_broken_records_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No image of .*instances\.json can be used; the last: .*no 'file_name'"):
        passed_over(tmp_path, images=[image(1, file_name=None)], annotations=[])
