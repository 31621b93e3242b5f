"""Average precision as COCO (100 detections) and LVIS (300) count it; hotcoco does the counting (docs/adr/0007)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.data import Sample
from samlet.data.fields import load_json, parse_size_hw
from samlet.data.lvis import is_lvis
from samlet.errors import DataError
from samlet.evaluation.results import ImageResult
from samlet.extras import import_with_extra

LVIS_DETECTIONS = 300  # of an image, over all categories; COCO's 100 are of an image and a category

_SIZES = ("all", "small", "medium", "large")  # the fourth axis of the precisions
_FREQUENCIES = {"rare": "r", "common": "c", "frequent": "f"}


class GroundTruth:
    """The annotations of a COCO or LVIS file, which detections are measured against.

    `sizes_hw` (by image id) and `category_ids` say what detections may refer to; `most_per_image` is how many of them
    count. Raises MissingExtraError without `samlet[eval]`, DataError for a file without categories.
    """

    def __init__(self, path: Path) -> None:
        self._library: Any = import_with_extra("hotcoco", "eval", "Average precision")
        content = load_json(path, _without_mask)  # hotcoco reads the masks itself
        self.lvis = is_lvis(content)
        self.most_per_image = LVIS_DETECTIONS if self.lvis else None
        self.sizes_hw = {
            image["id"]: parse_size_hw(image, f"{path}, image {image['id']}") for image in content["images"]
        }
        self._categories = {category["id"]: category for category in content.get("categories", [])}
        if not self._categories:
            raise DataError(f"{path} has no categories: average precision is a mean over them.")
        self.category_ids = sorted(self._categories)
        self._truth = self._library.COCO(str(path))

    def measure(self, samples: Sequence[Sample], results: Sequence[ImageResult]) -> dict[str, float | None]:
        """Average precision of the masks found in these images, 0 to 1; None where the images show nothing of a kind.

        "all" is the mean over IoU 0.50 to 0.95, "iou_50" and "iou_75" are at one threshold, "small", "medium" and
        "large" by area; LVIS adds "rare", "common" and "frequent" by how many images show the category.
        """
        precision = self._precision(samples, results)
        by_size = {size: _mean(precision[:, :, :, index]) for index, size in enumerate(_SIZES)}
        found = {
            "all": by_size.pop("all"),
            "iou_50": _mean(precision[0, :, :, 0]),
            "iou_75": _mean(precision[5, :, :, 0]),
        }
        return found | by_size | (self._by_frequency(precision) if self.lvis else {})

    def _precision(self, samples: Sequence[Sample], results: Sequence[ImageResult]) -> NDArray[np.float64]:
        """Precisions [10 thresholds, 101 recalls, categories, 4 sizes]; -1 where there is no annotation."""
        found = [record for pair in zip(samples, results, strict=True) for record in coco_results(*pair)]
        kind = self._library.LVISEval if self.lvis else self._library.COCOeval
        run = kind(self._truth, self._truth.load_res(found), "segm")
        run.params.img_ids = [sample.image_id for sample in samples]
        run.params.cat_ids = self.category_ids
        run.evaluate()
        run.accumulate()
        return np.asarray(run.eval["precision"])[..., -1]  # the largest number of detections

    def _by_frequency(self, precision: NDArray[np.float64]) -> dict[str, float | None]:
        frequencies = np.array([self._categories[number].get("frequency") for number in self.category_ids])
        return {name: _mean(precision[:, :, frequencies == sign, 0]) for name, sign in _FREQUENCIES.items()}


def coco_results(sample: Sample, result: ImageResult) -> list[dict[str, Any]]:
    """The detections of one image as COCO results with masks: what any COCO tool reads."""
    return [
        {
            "image_id": sample.image_id,
            "category_id": detection.category_id,
            "score": detection.score,
            "segmentation": {"size": list(sample.size_hw), "counts": detection.counts},
        }
        for detection in result.detections
    ]


def _without_mask(record: dict[str, Any]) -> dict[str, Any]:
    record.pop("segmentation", None)
    return record


def _mean(precision: NDArray[np.float64]) -> float | None:
    there = precision[precision > -1]
    return float(there.mean()) if there.size else None
