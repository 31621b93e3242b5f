"""What a detector found, as COCO results: one JSON list of `{image_id, category_id, bbox, score}`, any order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from samlet.data.box_format import check_box_format
from samlet.data.fields import is_box, is_number, is_whole, load_json
from samlet.data.sample import Detection, Sample
from samlet.errors import DataError
from samlet.reading import shown

_FIELDS = "image_id, category_id, bbox and score"


def read_detections(
    path: Path, sizes_hw: Mapping[int, tuple[int, int]], category_ids: Collection[int]
) -> dict[int, list[Detection]]:
    """The detections of each image by its id, in the order of the file.

    `sizes_hw` are the sizes of all images of the data set by id, `category_ids` its categories. DataError for a file
    that is no list of results, for ids of another data set and for boxes in another format.
    """
    items = load_json(path, _without_mask)
    if not isinstance(items, list):
        raise DataError(f"{path} is not a list of detections with {_FIELDS}, as COCO results are.")
    if not items:
        raise DataError(f"{path} holds no detection.")
    for index, item in enumerate(items):
        _check_item(item, f"{path}, detection number {index}")
    _check_ids([item["image_id"] for item in items], sizes_hw, "image", path)
    _check_ids([item["category_id"] for item in items], category_ids, "category", path)
    check_box_format([item["bbox"] for item in items], [sizes_hw[item["image_id"]] for item in items], str(path))
    found: dict[int, list[Detection]] = {}
    for item in items:
        x, y, width, height = map(float, item["bbox"])
        detection = Detection(item["category_id"], (x, y, width, height), float(item["score"]))
        found.setdefault(item["image_id"], []).append(detection)
    return found


def with_detections(
    samples: Sequence[Sample], found: Mapping[int, Sequence[Detection]], most_per_image: int | None = None
) -> list[Sample]:
    """The samples that have an id, with what was found there; of more than `most_per_image` the best scores stay."""
    return [
        replace(sample, detections=_best(found.get(sample.image_id, ()), most_per_image))
        for sample in samples
        if sample.image_id is not None
    ]


def _best(detections: Sequence[Detection], most: int | None) -> tuple[Detection, ...]:
    if most is None or len(detections) <= most:
        return tuple(detections)
    return tuple(sorted(detections, key=lambda detection: -detection.score)[:most])


def _without_mask(item: dict[str, Any]) -> dict[str, Any]:
    """Some detectors write a mask beside each box, which may be most of the file."""
    item.pop("segmentation", None)
    return item


def _check_item(item: Any, where: str) -> None:
    if not isinstance(item, dict):
        raise DataError(f"{where} is {shown(item)}; it must be a record with {_FIELDS}.")
    if not is_box(item.get("bbox")):
        raise DataError(f"{where} has bbox {shown(item.get('bbox'))}; it must be [x, y, width, height] in pixels.")
    if not is_number(item.get("score")):
        raise DataError(f"{where} has score {shown(item.get('score'))}; it must be a number.")
    for key in ("image_id", "category_id"):
        if not is_whole(item.get(key)):
            raise DataError(
                f"{where} has {key} {shown(item.get(key))}; it must be a whole number, as in the annotations."
            )


def _check_ids(ids: Sequence[int], known: Collection[int], kind: str, path: Path) -> None:
    strangers = [number for number in ids if number not in known]
    if strangers:
        raise DataError(
            f"{path}: {len(strangers)} of {len(ids)} detections name {kind} ids that the data set does not have, the "
            f"first is {strangers[0]} (it has {min(known)} to {max(known)}); are they results on another data set?"
        )
