"""Fields of JSON records, checked: the sentences that name a wrong one. `where` is how errors call the record."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from samlet.data.sample import Annotation
from samlet.errors import DataError, ImageError
from samlet.geometry.rle import Rle, area, from_json, to_box
from samlet.images import MAX_PIXELS, upright_size
from samlet.reading import reading, shown

_LONGEST_LABEL = 40
_LARGEST = 1e15  # of a number in a record; beyond, float arithmetic loses whole pixels

BoxXywh = tuple[float, float, float, float]


def load_json(path: Path, on_record: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The content of a JSON file; DataError if it cannot be read.

    Every record is replaced by what `on_record` makes of it as soon as it is read, so that what a large file says and
    nobody needs is never in memory at once.
    """
    with reading(path, "JSON"):
        return json.loads(path.read_text(encoding="utf-8-sig"), object_hook=on_record)


def image_size_hw(image: Path | bytes, where: str) -> tuple[int, int]:
    """(height, width) of an upright image from its header; DataError calls it `where`."""
    try:
        return upright_size(image, where)
    except ImageError as error:
        raise DataError(str(error)) from error


def parse_size_hw(image: Any, where: str) -> tuple[int, int]:
    """(height, width) that an image record states."""
    stated = image if isinstance(image, dict) else {}
    height, width = stated.get("height"), stated.get("width")
    if not (is_whole(height) and is_whole(width) and height > 0 and width > 0):
        raise DataError(f"{where} states no valid image height and width (got {shown(height)}, {shown(width)}).")
    if height * width > MAX_PIXELS:
        raise DataError(f"{where} states an image of {width} x {height} pixels, which is larger than any that is read.")
    return height, width


def parse_rle(segmentation: Any, size_hw: tuple[int, int], where: str) -> Rle:
    """A run-length code, compressed or not, of a mask of the image's size."""
    try:
        rle = from_json(segmentation)
    except (DataError, TypeError, ValueError) as error:
        raise DataError(f"{where}: {error}") from error
    if rle["size"] != list(size_hw):
        raise DataError(f"{where}: its mask has {rle['size']} rows and columns, but the image has {list(size_hw)}.")
    return rle


def parse_annotation(
    item: Mapping[str, Any], rle: Rle, where: str, category: str | None = None, crowd: bool = False
) -> Annotation:
    """The annotation of a mask: `id`, `bbox` and `area` are read from `item`, or made from the mask if it has none."""
    area_px = item.get("area")
    area_px = area(rle) if area_px is None else area_px
    if not is_number(area_px) or area_px < 0:
        raise DataError(f"{where} has area {shown(area_px)}; it must be a number of pixels, zero or more.")
    box = item.get("bbox")
    left, top, width, height = to_box(rle) if box is None or box == [] else parse_box(box, where)
    number = item.get("id")
    name = number if isinstance(number, (int, str)) else where
    return Annotation(name, rle, (left, top, width, height), float(area_px), category, crowd)


def parse_box(box: Any, where: str) -> BoxXywh:
    """A box [x, y, width, height] in pixels; width and height may be 0."""
    if not (is_box(box) and box[2] >= 0 and box[3] >= 0):
        raise DataError(f"{where} has bbox {shown(box)}; it must be [x, y, width, height] in pixels.")
    return (float(box[0]), float(box[1]), float(box[2]), float(box[3]))


def is_box(value: Any) -> bool:
    """Whether it is a list of four finite numbers."""
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))


def is_number(value: Any) -> bool:
    """Whether it is a finite number of sane size (True and False are none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _LARGEST


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether it is a whole number; True and False are none, though Python counts with them."""
    return type(value) is int


def label(item: Any, index: int) -> str:
    """What errors call the item of a list: by its id, or by its place."""
    if not isinstance(item, dict) or not isinstance(item.get("id"), (int, str)):
        return f"number {index}"
    return str(item["id"])[:_LONGEST_LABEL]
