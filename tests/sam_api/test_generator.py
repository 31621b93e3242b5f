from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
from pycocotools import mask as coco
from tests.fake_backend import FakeBackend

from samlet.errors import InputError
from samlet.geometry import rle
from samlet.predictor import Predictor
from samlet.sam_api import SamAutomaticMaskGenerator

DARK = np.zeros((240, 320, 3), np.uint8)


def generate(**settings):
    settings = {"points_per_side": 2, "pred_iou_thresh": 0.92, "stability_score_thresh": 0.1, **settings}
    return SamAutomaticMaskGenerator(Predictor(FakeBackend()), **settings).generate(DARK)


def test_the_parameters_stand_in_the_official_order():
    assert list(inspect.signature(SamAutomaticMaskGenerator).parameters) == [
        "model",
        "points_per_side",
        "points_per_batch",
        "pred_iou_thresh",
        "stability_score_thresh",
        "stability_score_offset",
        "box_nms_thresh",
        "crop_n_layers",
        "crop_nms_thresh",
        "crop_overlap_ratio",
        "crop_n_points_downscale_factor",
        "point_grids",
        "min_mask_region_area",
        "output_mode",
    ]


def test_positional_settings_reach_the_generator():
    settings = (None, 7, 0.1, 0.2, 1.5, 0.3, 1, 0.4, 0.25, 3, [np.ones((1, 2)) / 2, np.ones((1, 2)) / 3], 9)
    generator = SamAutomaticMaskGenerator(Predictor(FakeBackend()), *settings)._generator
    names = list(inspect.signature(SamAutomaticMaskGenerator).parameters)[1:-1]
    assert tuple(getattr(generator, name) for name in names) == settings


def test_a_record():
    record = generate()[0]
    assert list(record) == [
        "segmentation",
        "area",
        "bbox",
        "predicted_iou",
        "point_coords",
        "stability_score",
        "crop_box",
    ]
    mask = record.pop("segmentation")
    assert (mask.shape, mask.dtype) == ((240, 320), bool)
    rows, columns = np.nonzero(mask)
    assert record["area"] == mask.sum()
    assert record["bbox"] == [columns.min(), rows.min(), np.ptp(columns), np.ptp(rows)]
    assert record["predicted_iou"] == pytest.approx(0.95)
    assert record["point_coords"] == [[80, 60]]
    assert record["crop_box"] == [0, 0, 320, 240]
    json.dumps(record)  # plain numbers all through


@pytest.mark.parametrize("mode", ["uncompressed_rle", "coco_rle"])
def test_run_lengths_are_the_same_masks(mode):
    expected = [record["segmentation"] for record in generate()]
    for record, mask in zip(generate(output_mode=mode), expected, strict=True):
        code = record["segmentation"]
        json.dumps(code)
        if mode == "uncompressed_rle":
            assert sum(code["counts"][1::2]) == mask.sum()
            code = coco.frPyObjects(code, *code["size"])
        np.testing.assert_array_equal(np.asfortranarray(mask, np.uint8), decode(code))


def decode(code):
    runs = code["counts"].encode() if isinstance(code["counts"], str) else code["counts"]
    return rle.decode({"size": code["size"], "counts": runs})


def test_nothing_found_is_an_empty_list():
    assert generate(pred_iou_thresh=0.99, crop_n_layers=1) == []


def test_an_unknown_output_mode_is_refused():
    with pytest.raises(InputError, match='"polygon"'):
        generate(output_mode="polygon")
