"""YOLO's segmentation labels: a text file for each image, in it a line for each object.

Layout as Ultralytics documents it: `class x1 y1 x2 y2 …`, the corners of one polygon as shares of width and height.
"""

from __future__ import annotations

from samlet.geometry.outlines import as_one_ring, joined
from samlet.masks import MaskSet


def to_text(masks: MaskSet, class_number: int = 0, tolerance_px: float = 1.0) -> str:
    """The label file of one image, all its masks of one class.

    A line holds one polygon only, so the parts and holes of a mask are joined over bridges of no width. Empty masks
    have no line.
    """
    height, width = masks.size_hw
    lines = []
    for mask in masks:
        rings = [as_one_ring(polygon) for polygon in mask.polygons(tolerance_px)]
        if rings:
            shares = (joined(rings) / (width, height)).ravel()
            lines.append(" ".join([str(class_number), *(f"{share:.6g}" for share in shares)]))
    return "".join(f"{line}\n" for line in lines)
