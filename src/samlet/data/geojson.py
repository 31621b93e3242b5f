"""GeoJSON: a feature for each mask, in pixels of the image (x to the right, y down), as QuPath and others read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from samlet.geometry.outlines import Polygon, Ring
from samlet.masks import MaskSet


def to_collection(masks: MaskSet, labels: str | Sequence[str], tolerance_px: float = 1.0) -> dict[str, Any]:
    """A FeatureCollection, ready for `json.dump`: polygons with holes, and what is known of a mask as properties.

    `labels` is one for all masks or one for each.
    """
    each = [labels] * len(masks) if isinstance(labels, str) else labels
    return {
        "type": "FeatureCollection",
        "features": [
            feature(
                number,
                _geometry(mask.polygons(tolerance_px)),
                label,
                {
                    "area_px": mask.area_px,
                    "box_xywh": list(mask.box_xywh),
                    "predicted_iou": mask.iou,
                    "stability_score": mask.stability,
                },
            )
            for number, (mask, label) in enumerate(zip(masks, each, strict=True))
        ],
    }


def feature(number: int, geometry: dict[str, Any], label: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """One mask as QuPath reads it; `known` are its other properties."""
    return {
        "type": "Feature",
        "id": number,
        "geometry": geometry,
        "properties": {"objectType": "annotation", "classification": {"name": label}, **known},
    }


def _geometry(polygons: list[Polygon]) -> dict[str, Any]:
    parts = [[_closed(ring, outer=number == 0) for number, ring in enumerate(polygon)] for polygon in polygons]
    if len(parts) == 1:
        return {"type": "Polygon", "coordinates": parts[0]}
    return {"type": "MultiPolygon", "coordinates": parts}


def _closed(ring: Ring, outer: bool) -> list[list[float]]:
    """A ring whose first corner is repeated at its end; outer rings turn to the left, holes to the right (RFC 7946)."""
    x, y = ring.T
    turns_left = np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)) > 0
    corners = ring if turns_left == outer else ring[::-1]
    return [*corners.tolist(), corners[0].tolist()]
