"""The SA-1B record: `NAME.json` beside `NAME.jpg`, one RLE mask per annotation.

Layout from the SA-1B data card: `{"image": {width, height, …}, "annotations": [{id, bbox, area, segmentation}]}`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from samlet.data.sample import Annotation, Sample, source_of
from samlet.errors import DataError
from samlet.geometry.rle import Rle, area, from_json


def read_record(json_path: Path, image_path: Path) -> Sample:
    """One SA-1B record and its image (not read yet) as a Sample; DataError names the file and the annotation."""
    return parse_record(_load(json_path), image_path.stem, image_path, where=str(json_path))


def parse_record(record: Any, name: str, image_path: Path, where: str) -> Sample:
    """A decoded SA-1B record as a Sample; `where` is how errors call the record."""
    if not isinstance(record, dict) or not isinstance(record.get("annotations"), list):
        raise DataError(f"{where} has no list 'annotations': it is not an SA-1B record.")
    size_hw = _size_hw(record.get("image"), where)
    annotations = tuple(
        _annotation(item, size_hw, f"{where}, annotation {_label(item, index)}")
        for index, item in enumerate(record["annotations"])
    )
    return Sample(name, source_of(name), image_path, size_hw, annotations)


def _load(json_path: Path) -> Any:
    try:
        return json.loads(json_path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{json_path} cannot be read as JSON: {error}.") from error


def _size_hw(image: Any, where: str) -> tuple[int, int]:
    stated = image if isinstance(image, dict) else {}
    height, width = stated.get("height"), stated.get("width")
    if not (isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0):
        raise DataError(f"{where} states no valid image height and width (got {height!r}, {width!r}).")
    return height, width


def _label(item: Any, index: int) -> str:
    return str(item["id"]) if isinstance(item, dict) and "id" in item else f"number {index}"


def _annotation(item: Any, size_hw: tuple[int, int], where: str) -> Annotation:
    if not isinstance(item, dict) or "segmentation" not in item:
        raise DataError(f"{where} has no 'segmentation'.")
    rle = _checked_rle(item["segmentation"], size_hw, where)
    area_px = item.get("area", area(rle))
    if not _is_number(area_px) or area_px < 0:
        raise DataError(f"{where} has area {area_px!r}; it must be a number of pixels, zero or more.")
    return Annotation(item.get("id", where), rle, _box_xywh(item.get("bbox"), where), float(area_px))


def _checked_rle(segmentation: Any, size_hw: tuple[int, int], where: str) -> Rle:
    try:
        rle = from_json(segmentation)
    except (DataError, TypeError, ValueError) as error:
        raise DataError(f"{where}: {error}") from error
    if rle["size"] != list(size_hw):
        raise DataError(f"{where}: its mask has {rle['size']} rows and columns, but the image has {list(size_hw)}.")
    return rle


def _box_xywh(box: Any, where: str) -> tuple[float, float, float, float]:
    valid = isinstance(box, list) and len(box) == 4 and all(map(_is_number, box)) and box[2] >= 0 and box[3] >= 0
    if not valid:
        raise DataError(f"{where} has bbox {box!r}; it must be [x, y, width, height] in pixels.")
    return (float(box[0]), float(box[1]), float(box[2]), float(box[3]))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
