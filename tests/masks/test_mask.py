import numpy as np
import pytest
from pycocotools import mask as coco

from samlet.geometry import rle
from samlet.masks import Mask


@pytest.fixture
def frame_mask():
    array = np.zeros((20, 30), bool)
    array[4:12, 6:18] = True
    array[6:9, 9:14] = False
    return Mask(rle.encode(array), iou=0.87, prompt_index=2)


def test_a_mask_says_in_one_line_what_it_is(frame_mask):
    assert repr(frame_mask) == "Mask(81 px in 6,4,18,12 of 30 x 20, iou 0.870)"
    assert repr(Mask(frame_mask.rle)) == "Mask(81 px in 6,4,18,12 of 30 x 20)"


def test_equal_masks_are_one_in_a_set(frame_mask):
    again = Mask(rle.encode(frame_mask.to_array()), iou=0.87, prompt_index=2)
    other = Mask(rle.encode(~frame_mask.to_array()))
    assert len({frame_mask, again, other}) == 2


def test_polygons_have_holes(frame_mask):
    (polygon,) = frame_mask.polygons()
    assert [ring.tolist() for ring in polygon] == [
        [[6, 4], [6, 12], [18, 12], [18, 4]],
        [[9, 6], [14, 6], [14, 9], [9, 9]],
    ]
    assert Mask(rle.encode(np.zeros((4, 5), bool))).polygons() == []


def test_to_coco_is_what_pycocotools_reads(frame_mask):
    annotation = frame_mask.to_coco(image_id=3, category_id=7, annotation_id=11)
    code = annotation["segmentation"]
    assert coco.area({"size": code["size"], "counts": code["counts"].encode()}) == 81
    np.testing.assert_array_equal(rle.decode(rle.from_json(code)), frame_mask.to_array())
    assert {key: annotation[key] for key in ("id", "image_id", "category_id", "area", "bbox", "score")} == {
        "id": 11, "image_id": 3, "category_id": 7, "area": 81, "bbox": [6, 4, 12, 8], "score": 0.87,
    }  # fmt: skip
    assert "score" not in Mask(frame_mask.rle).to_coco()
