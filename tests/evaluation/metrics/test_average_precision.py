"""Our average precision against pycocotools and lvis-api, on masks of real photos (see "about" in the data)."""

from __future__ import annotations

import copy
import json
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from samlet.data import Detection, Sample
from samlet.errors import DataError, InputError, MissingExtraError
from samlet.evaluation.metrics.average_precision import GroundTruth
from samlet.evaluation.protocols.box import Box
from samlet.evaluation.protocols.box_from_detector import BoxFromDetector, detected
from samlet.evaluation.results import DetectionResult, ImageResult

REAL = json.loads((Path(__file__).parents[2] / "fixtures" / "average_precision.json").read_text())
FROM_DETECTOR = BoxFromDetector()


def as_coco(truth: dict[str, Any]) -> dict[str, Any]:
    """The data without what makes it LVIS."""
    images = [{k: v for k, v in image.items() if not k.endswith("category_ids")} for image in truth["images"]]
    return truth | {"images": images}


def write(folder: Path, truth: dict[str, Any]) -> Path:
    path = folder / "truth.json"
    path.write_text(json.dumps(truth))
    return path


def found(detections: list[dict[str, Any]], images: list[dict[str, Any]]) -> tuple[list[Sample], list[ImageResult]]:
    """The detections as samples and results of these images, as a run would have left them."""
    samples, results = [], []
    for image in images:
        mine = [item for item in detections if item["image_id"] == image["id"]]
        masks = [DetectionResult(m["category_id"], m["score"], 0.5, m["segmentation"]["counts"]) for m in mine]
        name, size_hw = str(image["id"]), (image["height"], image["width"])
        samples.append(Sample(name, "real", Path("unread.jpg"), size_hw, image_id=image["id"]))
        results.append(ImageResult(name, "real", (), {}, tuple(masks)))
    return samples, results


def ours(path: Path, detections: list[dict[str, Any]], images: list[dict[str, Any]]) -> dict[str, float | None]:
    return GroundTruth(path).measure(*found(detections, images))


def pycocotools(path: Path, detections: list[dict[str, Any]], images: list[dict[str, Any]]) -> dict[str, float]:
    without_boxes = [{k: v for k, v in item.items() if k != "bbox"} for item in copy.deepcopy(detections)]
    with redirect_stdout(StringIO()):
        truth = COCO(str(path))
        run = COCOeval(truth, truth.loadRes(without_boxes), "segm")
        run.params.imgIds = [image["id"] for image in images]
        run.evaluate()
        run.accumulate()
        run.summarize()
    return dict(zip(("all", "iou_50", "iou_75", "small", "medium", "large"), run.stats, strict=False))


@pytest.mark.parametrize("count", [11, 4], ids=["all images", "some images"])
def test_coco_is_that_of_pycocotools(tmp_path: Path, count: int) -> None:
    path, images = write(tmp_path, as_coco(REAL["truth"])), REAL["truth"]["images"][:count]
    found_there = [item for item in REAL["detections"] if item["image_id"] in {image["id"] for image in images}]
    expected = pycocotools(path, found_there, images)
    assert 0.1 < expected["all"] < 0.9
    assert ours(path, found_there, images) == pytest.approx(expected, abs=1e-6)


def test_polygons_of_several_parts_are_filled_alike(tmp_path: Path) -> None:
    truth = as_coco(copy.deepcopy(REAL["truth"]))
    size = {image["id"]: (image["width"], image["height"]) for image in truth["images"]}
    polygons = [item for item in truth["annotations"] if isinstance(item["segmentation"], list)]
    for item in polygons:
        width, height = size[item["image_id"]]
        item["segmentation"].append([-9.5, 3.2, width / 3, 3.2, width / 3.3, height / 2.5])
    assert polygons
    path = write(tmp_path, truth)
    expected = pycocotools(path, REAL["detections"], truth["images"])
    assert ours(path, REAL["detections"], truth["images"]) == pytest.approx(expected, abs=1e-6)


def test_equal_scores_and_more_than_100_detections_change_nothing(tmp_path: Path) -> None:
    path, images = write(tmp_path, as_coco(REAL["truth"])), REAL["truth"]["images"]
    many = [item | {"score": round(item["score"], 1)} for item in REAL["detections"] for _ in range(40)]
    assert ours(path, many, images) == pytest.approx(pycocotools(path, many, images), abs=1e-6)


def test_lvis_is_that_of_lvis_api(tmp_path: Path) -> None:
    truth = copy.deepcopy(REAL["truth"])
    for item in truth["annotations"]:
        del item["iscrowd"]  # LVIS knows no crowds
    measured = ours(write(tmp_path, truth), REAL["detections"], truth["images"])
    assert measured == pytest.approx(REAL["lvis_api_0_5_3"], abs=1e-6)


def test_what_is_not_there_has_no_precision(tmp_path: Path) -> None:
    path = write(tmp_path, as_coco(REAL["truth"]))
    [small] = [image for image in REAL["truth"]["images"] if image["id"] == 297343]
    measured = ours(path, [], [small])
    assert measured["all"] == 0.0
    assert None in (measured["small"], measured["large"])


def test_an_image_of_lvis_counts_300_detections(tmp_path: Path) -> None:
    path, image_id = write(tmp_path, REAL["truth"]), REAL["truth"]["images"][0]["id"]
    items = [
        {"image_id": image_id, "category_id": 1, "bbox": [1, 1, 5, 5], "score": score / 400} for score in range(400)
    ]
    sample = Sample("a", "a", tmp_path, (224, 224), image_id=image_id)
    (tmp_path / "found.json").write_text(json.dumps(items))
    [kept], _ = detected([sample], FROM_DETECTOR, [path], tmp_path / "found.json", None)
    assert [found.score for found in kept.detections] == [score / 400 for score in range(399, 99, -1)]
    path.write_text(json.dumps(as_coco(REAL["truth"])))
    [kept], _ = detected([sample], FROM_DETECTOR, [path], tmp_path / "found.json", None)
    assert kept.detections[0] == Detection(1, (1.0, 1.0, 5.0, 5.0), 0.0)
    assert len(kept.detections) == 400


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, REAL["truth"])
    with pytest.raises(InputError, match="--detections belong together"):
        detected([], FROM_DETECTOR, [path], None, None)
    with pytest.raises(InputError, match="--detections belong together"):
        detected([], Box(), [path], path, None)
    for data in ([tmp_path], [path, path]):
        with pytest.raises(InputError, match=r"one COCO or LVIS .json"):
            detected([], FROM_DETECTOR, data, path, None)


def test_precision_needs_categories(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no categories"):
        GroundTruth(write(tmp_path, REAL["truth"] | {"categories": []}))


def test_the_missing_library_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    with pytest.raises(MissingExtraError, match=r'pip install "samlet\[eval\]"'):
        GroundTruth(write(tmp_path, REAL["truth"]))
