import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from samlet.errors import DataError, InputError, MissingExtraError
from samlet.geometry import rle
from samlet.masks import Mask, MaskSet


def disc(row, column, radius, size_hw=(40, 60)):
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


@pytest.fixture
def two_masks():
    known = Mask(
        rle.encode(disc(20, 30, 5)),
        iou=0.9,
        stability=0.95,
        point_xy=(30.0, 20.5),
        crop_box_xywh=(0, 0, 60, 40),
        prompt_index=1,
    )
    logits = np.arange(2, dtype=np.float32)[:, None, None] * np.ones((2, 256, 256), np.float32)
    return MaskSet([known, Mask(rle.encode(disc(5, 5, 3)))], (40, 60), logits)


def test_a_mask_knows_its_array_area_and_box():
    array = disc(20, 30, 5)
    mask = Mask(rle.encode(array))
    np.testing.assert_array_equal(mask.to_array(), array)
    assert mask.size_hw == (40, 60)
    assert mask.area_px == array.sum()
    assert mask.box_xywh == (25, 15, 11, 11)


def test_an_empty_mask():
    mask = Mask(rle.encode(np.zeros((4, 5), bool)))
    assert (mask.area_px, mask.box_xywh) == (0, (0, 0, 0, 0))


def test_a_full_mask_is_as_wide_as_the_image():
    assert Mask(rle.encode(np.ones((480, 640), bool))).box_xywh == (0, 0, 640, 480)


def test_a_mask_set_is_a_sequence(two_masks):
    assert len(two_masks) == 2
    assert [mask.iou for mask in two_masks] == [0.9, None]
    assert two_masks[-1].iou is None
    assert repr(two_masks) == "MaskSet(2 masks of 60 x 40 pixels)"
    with pytest.raises(IndexError):
        two_masks[2]


def test_a_slice_takes_its_logits_along(two_masks):
    second = two_masks[1:]
    assert isinstance(second, MaskSet)
    assert len(second) == 1
    assert (second.low_res_logits == 1).all()


def test_arrays(two_masks):
    array = two_masks.to_array()
    assert array.dtype == bool
    np.testing.assert_array_equal(array, np.stack([disc(20, 30, 5), disc(5, 5, 3)]))
    assert two_masks.iou.dtype == np.float32
    np.testing.assert_array_equal(two_masks.iou, np.array([0.9, np.nan], np.float32))


def test_no_masks():
    empty = MaskSet([], (40, 60))
    assert empty.to_array().shape == (0, 40, 60)
    assert empty.iou.shape == (0,)
    assert MaskSet.from_json(empty.to_json("a.jpg")).size_hw == (40, 60)


def test_a_mask_of_another_image_is_refused():
    with pytest.raises(InputError, match=r"\(4, 5\).*\(40, 60\)"):
        MaskSet([Mask(rle.encode(np.zeros((4, 5), bool)))], (40, 60))


def test_logits_of_other_masks_are_refused(two_masks):
    with pytest.raises(InputError, match="1 low-res logits do not fit 2 masks"):
        MaskSet(list(two_masks), (40, 60), np.zeros((1, 256, 256), np.float32))


def test_to_json_is_an_sa1b_record(two_masks):
    record = two_masks.to_json("cat.jpg", image_id=7)
    assert record["image"] == {"image_id": 7, "width": 60, "height": 40, "file_name": "cat.jpg"}
    known, unknown = record["annotations"]
    assert known == {
        "id": 0,
        "segmentation": {"size": [40, 60], "counts": rle.encode(disc(20, 30, 5))["counts"].decode()},
        "bbox": [25, 15, 11, 11],
        "area": 81,
        "predicted_iou": 0.9,
        "stability_score": 0.95,
        "crop_box": [0, 0, 60, 40],
        "point_coords": [[30.0, 20.5]],
    }
    assert set(unknown) == {"id", "segmentation", "bbox", "area"}


def test_from_json_reads_what_to_json_wrote(two_masks):
    text = json.dumps(two_masks.to_json("cat.jpg"))
    again = MaskSet.from_json(json.loads(text))
    np.testing.assert_array_equal(again.to_array(), two_masks.to_array())
    assert again[0].point_xy == (30.0, 20.5)
    assert again[0].crop_box_xywh == (0, 0, 60, 40)
    assert again.to_json("cat.jpg") == json.loads(text)


numbers = st.none() | st.floats(0, 1)


@given(arrays(bool, (3, 6, 7)), numbers, numbers)
def test_any_mask_survives_json(array, iou, stability):
    masks = MaskSet([Mask(rle.encode(mask), iou=iou, stability=stability) for mask in array], (6, 7))
    again = MaskSet.from_json(json.loads(json.dumps(masks.to_json("a.png"))))
    assert list(again) == list(masks)


def test_from_json_takes_run_lengths_and_float_boxes():
    annotation = {"segmentation": {"size": [2, 3], "counts": [1, 2, 3]}, "crop_box": [0.0, 0.0, 3.0, 2.0]}
    masks = MaskSet.from_json({"image": {"height": 2, "width": 3}, "annotations": [annotation]})
    assert masks.to_array().tolist() == [[[False, True, False], [True, False, False]]]
    assert masks[0].crop_box_xywh == (0, 0, 3, 2)


GOOD = {"size": [2, 3], "counts": [1, 2, 3]}
IMAGE = {"height": 2, "width": 3}
BROKEN = {
    "no image": ({"annotations": []}, "'image' is missing"),
    "no height": ({"image": {"width": 3}, "annotations": []}, "'height' is missing"),
    "no annotations": ({"image": IMAGE}, "'annotations' is missing"),
    "no segmentation": ({"image": IMAGE, "annotations": [{"id": 1}]}, "'segmentation' is missing"),
    "a list": ([], "not an SA-1B record"),
    "a polygon": ({"image": IMAGE, "annotations": [{"segmentation": [[0, 0, 1, 1]]}]}, "run-length code"),
    "another size": ({"image": {"height": 3, "width": 3}, "annotations": [{"segmentation": GOOD}]}, "does not fit"),
    "a short code": (
        {"image": IMAGE, "annotations": [{"segmentation": {"size": [2, 3], "counts": [1]}}]},
        "1 of 3 x 2 pixels",
    ),
    "a word for a number": (
        {"image": IMAGE, "annotations": [{"segmentation": GOOD, "predicted_iou": "high"}]},
        "not an SA-1B record",
    ),
    "half a point": (
        {"image": IMAGE, "annotations": [{"segmentation": GOOD, "point_coords": [[1]]}]},
        "not an SA-1B record",
    ),
    "three sides": (
        {"image": IMAGE, "annotations": [{"segmentation": GOOD, "crop_box": [1, 2, 3]}]},
        "not an SA-1B record",
    ),
}


@pytest.mark.parametrize(("record", "sentence"), BROKEN.values(), ids=BROKEN.keys())
def test_from_json_refuses(record, sentence):
    with pytest.raises(DataError, match=sentence):
        MaskSet.from_json(record)


def test_to_coco_is_a_file_of_one_image(two_masks):
    content = two_masks.to_coco("cat.jpg", image_id=7)
    assert content["images"] == [{"id": 7, "width": 60, "height": 40, "file_name": "cat.jpg"}]
    assert content["categories"] == [{"id": 1, "name": "object"}]
    assert [(item["id"], item["image_id"]) for item in content["annotations"]] == [(1, 7), (2, 7)]


def test_to_supervision_hands_over_boxes_masks_and_confidence(two_masks, monkeypatch):
    stand_in = SimpleNamespace(Detections=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "supervision", stand_in)
    found = two_masks.to_supervision()
    assert found.xyxy.tolist() == [[25, 15, 36, 26], [2, 2, 9, 9]]
    np.testing.assert_array_equal(found.mask, two_masks.to_array())
    assert found.confidence is None  # of one mask it is not known
    assert two_masks[:1].to_supervision().confidence.tolist() == pytest.approx([0.9])


def test_to_supervision_names_the_install(two_masks, monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingExtraError, match=r'pip install "samlet\[supervision\]"'):
        two_masks.to_supervision()
