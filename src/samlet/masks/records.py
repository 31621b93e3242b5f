"""Masks as an SA-1B record and back: `{"image": {…}, "annotations": [{id, segmentation, bbox, area, …}]}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from samlet.errors import DataError
from samlet.geometry import rle as run_lengths
from samlet.masks.mask import Mask


def to_annotation(index: int, mask: Mask) -> dict[str, Any]:
    """An annotation of an SA-1B record; what is not known of the mask is left out."""
    annotation: dict[str, Any] = {
        "id": index,
        "segmentation": {"size": list(mask.rle["size"]), "counts": mask.rle["counts"].decode()},
        "bbox": list(mask.box_xywh),
        "area": mask.area_px,
    }
    if mask.iou is not None:
        annotation["predicted_iou"] = float(mask.iou)
    if mask.stability is not None:
        annotation["stability_score"] = float(mask.stability)
    if mask.crop_box_xywh is not None:
        annotation["crop_box"] = list(mask.crop_box_xywh)
    if mask.point_xy is not None:
        annotation["point_coords"] = [list(mask.point_xy)]
    return annotation


def from_annotation(annotation: Mapping[str, Any], size_hw: tuple[int, int]) -> Mask:
    """The mask of an annotation; only `segmentation` is required. Raises DataError, KeyError, TypeError, ValueError."""
    rle = run_lengths.from_json(annotation["segmentation"])
    if tuple(rle["size"]) != size_hw:
        raise DataError(f"A mask of {rle['size']} pixels does not fit its image of {list(size_hw)} (height, width).")
    crop_box, points = annotation.get("crop_box"), annotation.get("point_coords")
    return Mask(
        rle,
        iou=_optional_float(annotation.get("predicted_iou")),
        stability=_optional_float(annotation.get("stability_score")),
        point_xy=(float(points[0][0]), float(points[0][1])) if points else None,
        crop_box_xywh=None if crop_box is None else _crop_box(crop_box),
    )


def _crop_box(values: Sequence[float]) -> tuple[int, int, int, int]:
    left, top, width, height = (int(value) for value in values)
    return left, top, width, height


def _optional_float(value: Any) -> float | None:
    return None if value is None else float(value)
