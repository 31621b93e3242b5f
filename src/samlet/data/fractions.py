"""Polygons that a COCO file gives as fractions of the image, where the format wants pixels: found, and made pixels."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

from samlet.data.fields import is_box, is_number

_PIXELS = 2  # a box larger than that cannot belong to a polygon inside one pixel
_SEVERAL = 8


def find_fractions(annotations: Iterable[dict[str, Any]]) -> set[int]:
    """Ids of annotations whose polygons are fractions: all corners in the image's first pixel, the box elsewhere.

    Where no box tells, several such polygons and no other one do. Polygons are packed as by `coco.pack_polygons`.
    """
    inside, elsewhere, polygons = set(), set(), 0
    for item in annotations:
        corners = _corners(item)
        polygons += bool(corners)
        if corners and all(0 <= number <= 1 for part in corners for number in part):
            inside.add(item["id"])
            box: Any = item.get("bbox")
            if is_box(box) and max(box[2:]) > _PIXELS:
                elsewhere.add(item["id"])
    all_inside = len(inside) == polygons and (elsewhere or polygons >= _SEVERAL)
    return inside if all_inside else elsewhere


def to_pixels(annotation: dict[str, Any], size_hw: tuple[int, int]) -> dict[str, Any]:
    """The annotation with its polygons in pixels; a box and an area in fractions too are left to the mask."""
    height, width = size_hw
    scaled = []
    for part in annotation["segmentation"]:
        corners = array("d", part)
        for place in range(len(corners)):
            corners[place] *= height if place % 2 else width
        scaled.append(corners)
    changed = annotation | {"segmentation": scaled}
    box: Any = changed.get("bbox")
    area_px: Any = changed.get("area")
    if is_box(box) and max(box) <= 1:
        changed["bbox"] = None
    if is_number(area_px) and 0 < area_px <= 1:
        changed["area"] = None
    return changed


def _corners(annotation: dict[str, Any]) -> list[array[float]]:
    """The polygons that have corners; none where something else is among them."""
    segmentation = annotation.get("segmentation")
    parts = segmentation if isinstance(segmentation, list) else []
    return [part for part in parts if part] if all(isinstance(part, array) for part in parts) else []
