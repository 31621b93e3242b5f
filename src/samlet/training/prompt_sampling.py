"""Prompts drawn from a ground-truth mask, as a user might give them: a box drawn loosely, or a few clicks inside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samlet.prompts import Prompts

BOX_JITTER = 0.05
MAX_CLICKS = 3
CENTRE_SHARE = 0.5


def draw_prompt(mask: NDArray[np.bool_], rng: np.random.Generator, box_share: float = 0.5) -> Prompts:
    """One prompt for a mask [H, W] with at least one pixel: a jittered box, or 1 to 3 clicks on the object."""
    if rng.random() < box_share:
        return Prompts.boxes(_loose_box(mask, rng))
    clicks = int(rng.integers(1, MAX_CLICKS + 1))
    points = [_click(mask, rng, central=i == 0 and rng.random() < CENTRE_SHARE) for i in range(clicks)]
    return Prompts.points(np.stack(points))


def _loose_box(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
    height, width = mask.shape
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x0, x1, y0, y1 = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    sides = np.array([x1 - x0, y1 - y0, x1 - x0, y1 - y0])
    moved = np.array([x0, y0, x1, y1]) + np.clip(rng.normal(0, BOX_JITTER, 4), -0.2, 0.2) * sides
    return np.clip(moved, 0, [width, height, width, height])


def _click(mask: NDArray[np.bool_], rng: np.random.Generator, central: bool) -> NDArray[np.float64]:
    """A pixel of the mask (x, y): any, or the one farthest from the background."""
    if central:
        import cv2

        distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
        y, x = np.unravel_index(int(distance.argmax()), mask.shape)
        return np.array([x, y], np.float64)
    pixels = np.flatnonzero(mask)
    y, x = np.unravel_index(int(rng.choice(pixels)), mask.shape)
    return np.array([x, y], np.float64)
