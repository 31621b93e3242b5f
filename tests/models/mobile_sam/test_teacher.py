"""`mobile-sam` with real weights gives what the official code gives with them on three photographs.

Weights, photographs and numbers lie beside a checkout, in `../shared/teacher`; they are too large for this repository.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from tests import filler

from samlet.models import create, load_checkpoint
from samlet.sam_api import SamAutomaticMaskGenerator, SamPredictor

TEACHER = Path(__file__).parents[4] / "shared" / "teacher"
WEIGHTS = TEACHER / "tinyvit_sam.safetensors"
TOLERANCE = 1e-4  # of the std for embedding and logits, absolute for IoU: what the numbers say of themselves
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not WEIGHTS.is_file(), reason="the teacher's weights are not beside this checkout"),
]


@pytest.fixture(scope="module")
def numbers() -> dict[str, Any]:
    return json.loads((TEACHER / "fixtures.json").read_text(encoding="utf-8"))["photos"]


@pytest.fixture(scope="module")
def model() -> Any:
    module = create("mobile-sam")
    load_checkpoint(module, WEIGHTS)
    return module


def photo(name: str) -> np.ndarray:
    with Image.open(TEACHER / "photos" / f"{name}.jpg") as file:
        return np.asarray(file.convert("RGB"))


@pytest.mark.parametrize("name", ["dog", "groceries", "truck"])
def test_embedding_and_sixteen_prompts(name: str, model: Any, numbers: dict[str, Any]) -> None:
    expected, predictor = numbers[name], SamPredictor(model)
    predictor.set_image(photo(name))
    assert filler.difference(predictor.get_image_embedding(), expected["image_embeddings"]) <= TOLERANCE
    assert len(expected["prompts"]) == 16
    for prompt in expected["prompts"]:
        points, box = prompt.get("points_xy"), prompt.get("box_xyxy")
        masks, iou, low_res = predictor.predict(
            point_coords=None if points is None else np.array(points),
            point_labels=None if points is None else np.array(prompt["labels"]),
            box=None if box is None else np.array(box),
            multimask_output=prompt["multimask"],
        )
        np.testing.assert_allclose(iou, prompt["iou"], rtol=0, atol=TOLERANCE)
        assert filler.difference(low_res, prompt["low_res"]) <= TOLERANCE
        assert overlaps(masks, prompt["masks"]) == []


@pytest.mark.parametrize("name", ["dog", "groceries"])
def test_everything_mode(name: str, model: Any, numbers: dict[str, Any]) -> None:
    found = SamAutomaticMaskGenerator(model, points_per_side=8).generate(photo(name))
    expected = numbers[name]["everything_8x8"]
    assert len(found) == len(expected)
    masks = np.array([record["segmentation"] for record in found])
    ours = coco_mask.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))
    theirs = [record["segmentation"] for record in expected]
    iou = coco_mask.iou(ours, theirs, [0] * len(theirs))
    assert iou.max(axis=0).min() >= 0.999, "a mask of theirs is missing"
    for record, best in zip(expected, iou.argmax(axis=0), strict=True):
        assert found[best]["predicted_iou"] == pytest.approx(record["predicted_iou"], abs=1e-3)
        assert found[best]["stability_score"] == pytest.approx(record["stability_score"], abs=1e-3)


def overlaps(masks: np.ndarray, expected: list[dict[str, Any]]) -> list[float]:
    """IoUs below 0.999, mask by mask."""
    ours = coco_mask.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))
    pairs = zip(ours, expected, strict=True)
    return [iou for mine, theirs in pairs if (iou := float(coco_mask.iou([mine], [theirs], [0])[0, 0])) < 0.999]
