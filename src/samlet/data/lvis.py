"""LVIS v1 annotations: COCO's layout over COCO's images, which it splits another way.

An image of LVIS val may lie in COCO's train2017 folder; only its `coco_url` tells (LVIS paper, arXiv 1908.03195).
Masks are polygons, there are no crowds, and `neg_category_ids` lists the kinds that were looked for and not found.
"""

from __future__ import annotations

from typing import Any

from samlet.data.coco import Record, split_place
from samlet.errors import DataError
from samlet.reading import shown


def is_lvis(content: Any) -> bool:
    """Whether a decoded file is LVIS's rather than COCO's."""
    images = content.get("images") if isinstance(content, dict) else None
    first = images[0] if isinstance(images, list) and images else None
    return isinstance(first, dict) and "neg_category_ids" in first


def place_of(image: Record, where: str) -> str:
    """The path of an image inside COCO's folder of splits."""
    place = split_place(image)
    if place is None:
        raise DataError(
            f"{where} has coco_url {shown(image.get('coco_url'))}; LVIS tells by it in which split of COCO the image "
            "lies."
        )
    return place
