"""Masks as polygons: outlines along the edges of pixels, with holes, simplified as far as one allows."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from samlet.opencv import cv2

Ring: TypeAlias = NDArray[np.float64]
"""Corners [K, 2] (x, y) of a closed outline in image pixels; the first one is not repeated."""
Polygon: TypeAlias = list[Ring]
"""One connected part of a mask: its outer ring, then the rings of its holes."""

LEAST_CORNERS = 3


def trace(mask: NDArray[np.bool_], tolerance_px: float = 1.0) -> list[Polygon]:
    """The connected parts (8-connected) of a mask [H, W], largest outline first; none for an empty mask.

    Pixel (x, y) covers the square from (x, y) to (x + 1, y + 1). With a tolerance of 0 the rings follow the edges of
    pixels, so that filling them gives the mask again; otherwise no corner left out is farther than it from a ring
    (Douglas and Peucker), and a hole that is too small for that goes.
    """
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return []
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)
    # OpenCV's contours join the centers of pixels. On a picture of twice the size their corners, rounded up to the
    # next edge of an original pixel, are the corners of the mask.
    doubled = part.repeat(2, axis=0).repeat(2, axis=1)
    contours, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    corner_xy = np.array([columns[0], rows[0]], np.float64)
    polygons = []
    for number, contour in enumerate(contours):
        _, _, first_hole, outer = hierarchy[0][number]
        if outer >= 0:
            continue
        rings = [_simple(_corners(contour), tolerance_px, keep=True)]
        hole = first_hole
        while hole >= 0:
            rings.append(_simple(_corners(contours[hole]), tolerance_px, keep=False))
            hole = hierarchy[0][hole][0]
        polygons.append([ring + corner_xy for ring in rings if ring is not None])
    return sorted(polygons, key=lambda polygon: -ring_area(polygon[0]))


def as_one_ring(polygon: Polygon) -> Ring:
    """The polygon as a single ring: each hole is reached over a bridge of no width, walked there and back.

    For formats that know no holes (COCO's polygons, labelme, YOLO); filling the ring leaves the holes empty.
    """
    ring, *holes = polygon
    for hole in sorted(holes, key=lambda corners: corners[:, 0].min()):
        ring = _bridged(ring, hole)
    return ring


def joined(rings: list[Ring]) -> Ring:
    """Several separate rings as one, joined over bridges of no width; for formats with one ring an object (YOLO)."""
    ring, *others = rings
    for other in others:
        ring = _bridged(ring, other)
    return ring


def ring_area(ring: Ring) -> float:
    """The area inside a ring in square pixels (the shoelace formula)."""
    x, y = ring.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _corners(contour: NDArray[Any]) -> NDArray[np.int32]:
    """The contour of a doubled mask as corners [K, 2] on the edges of pixels, without those on straight lines."""
    places = (contour[:, 0] + 1) // 2
    moved = (places != np.roll(places, 1, axis=0)).any(axis=1)
    places = places[moved]
    before, after = places - np.roll(places, 1, axis=0), np.roll(places, -1, axis=0) - places
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    back = (before == -after).all(axis=1)  # a corner where two pixels touch is passed twice
    return places[turns | back]


def _simple(corners: NDArray[np.int32], tolerance_px: float, keep: bool) -> Ring | None:
    if tolerance_px > 0:
        simple = cv2.approxPolyDP(corners[:, None], tolerance_px, True)[:, 0].astype(np.float64)
        if len(simple) >= LEAST_CORNERS and ring_area(simple) > 0:
            return simple
        if not keep:
            return None
    return corners.astype(np.float64)


def _bridged(ring: Ring, other: Ring) -> Ring:
    distances = ((ring[:, None] - other[None]) ** 2).sum(axis=-1)
    here, there = np.unravel_index(distances.argmin(), distances.shape)
    round_trip = np.roll(other, -there, axis=0)
    return np.concatenate([ring[: here + 1], round_trip, round_trip[:1], ring[here:]])
