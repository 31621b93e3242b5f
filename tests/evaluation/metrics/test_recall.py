"""Average recall: against pycocotools, and by hand on the cases that decide it."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tests.evaluation.fake import SIDE, annotation, rectangle

from samlet.evaluation.metrics.means import measure
from samlet.evaluation.metrics.recall import PROPOSALS, match, measure_recall, nearest
from samlet.evaluation.results import ImageResult
from samlet.geometry.rle import encode
from samlet.masks import Mask


def mask(left: int, top: int, right: int, bottom: int, iou: float = 0.9) -> Mask:
    return Mask(encode(rectangle(left, top, right, bottom)), iou)


def random_boxes(generator: np.random.Generator, count: int) -> np.ndarray:
    corners = generator.integers(0, 200, (count, 2))
    return np.concatenate([corners, corners + generator.integers(5, 56, (count, 2))], axis=1)


def test_average_recall_is_that_of_pycocotools() -> None:
    generator = np.random.default_rng(5)
    truths = [annotation(*box, number=index + 1) for index, box in enumerate(random_boxes(generator, 30))]
    near = [box.box_xywh for box in truths for _ in range(30)]
    moved = np.array([(x, y, x + w, y + h) for x, y, w, h in near]) + generator.integers(-6, 7, (900, 4))
    masks = [mask(*box.clip(0, SIDE).astype(int), 0.5) for box in moved]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": 1, "height": SIDE, "width": SIDE}],
        "categories": [{"id": 1}],
        "annotations": [
            {"id": a.id, "image_id": 1, "category_id": 1, "area": a.area_px, "segmentation": a.rle, "iscrowd": 0}
            for a in truths
        ],
    }
    coco.createIndex()
    found = [
        {"image_id": 1, "category_id": 1, "score": 1 - 1e-4 * index, "segmentation": m.rle}
        for index, m in enumerate(masks)
        if m.area_px
    ]
    judge = COCOeval(coco, coco.loadRes(found), "segm")
    judge.params.useCats, judge.params.maxDets = 0, list(PROPOSALS)
    judge.evaluate()
    judge.accumulate()
    expected = judge.eval["recall"][:, 0, 0].mean(axis=0)
    results = measure_recall([m for m in masks if m.area_px], truths)
    recall = measure([ImageResult("a", "a", tuple(results), {})])["average_recall"]
    assert [recall[str(most)]["all"] for most in PROPOSALS] == pytest.approx(expected.tolist(), abs=1e-12)
    assert 0 < expected[0] < expected[1] < expected[2] < 1


@pytest.mark.parametrize(
    ("ious", "expected"),
    [
        ([[0.9, 0.6], [0.95, 0.0]], [0, None]),  # the second mask finds its annotation taken
        ([[0.9, 0.6], [0.0, 0.6]], [0, 1]),
        ([[0.49, 0.2]], [None, None]),
        ([[0.5, 0.2]], [0, None]),  # the threshold itself is enough
        ([[0.7, 0.7]], [None, 0]),  # of equals the last
    ],
)
def test_match(ious, expected) -> None:
    never = np.iinfo(np.int64).max
    assert match(np.array(ious), 0.5).tolist() == [never if rank is None else rank for rank in expected]


def test_only_the_first_masks_count() -> None:
    masks = [mask(0, 0, 5, 5)] * 10 + [mask(10, 10, 30, 30)]
    [instance] = measure_recall(masks, [annotation(10, 10, 30, 30)])
    assert instance.recall == (0.0, 1.0, 1.0)
    assert (instance.true_iou, instance.boundary_iou) == (1.0, 1.0)


def test_recall_is_the_fraction_of_thresholds() -> None:
    [instance] = measure_recall([mask(10, 10, 30, 26, 0.7)], [annotation(10, 10, 30, 30)])
    assert instance.recall == (0.7, 0.7, 0.7)  # IoU 0.8 reaches 0.5, 0.55, … 0.8
    assert (instance.true_iou, instance.iou) == (0.8, pytest.approx(0.7))


def test_an_image_where_nothing_is_found() -> None:
    [instance] = measure_recall([], [annotation(10, 10, 30, 30)])
    assert (instance.true_iou, instance.iou, instance.recall) == (0.0, 0.0, (0.0, 0.0, 0.0))
    assert nearest([], annotation(1, 1, 2, 2).rle) is None
    assert measure_recall([mask(0, 0, 5, 5)], []) == []
