"""From masks to what is sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from samlet.geometry.rle import to_counts
from samlet.masks import Mask


def mask_answer(mask: Mask, name: str) -> dict[str, Any]:
    """A mask as `schemas.MaskAnswer` says."""
    return {
        "id": name,
        "rle": {"size": list(mask.size_hw), "counts": to_counts(mask.rle)},
        "iou": float(mask.iou or 0.0),
        "box": list(mask.box_xywh),
        "area": mask.area_px,
    }


def mask_answers(masks: Iterable[tuple[Mask, str]]) -> dict[str, Any]:
    """Masks with their ids as `schemas.MaskAnswers` says."""
    return {"masks": [mask_answer(mask, name) for mask, name in masks]}
