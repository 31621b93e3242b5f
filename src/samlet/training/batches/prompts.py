"""Prompts drawn from a mask, as a user might give them: a loose box or a few clicks first, then clicks on errors."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samlet.prompts import ABSENT_LABEL, PointLabel, Prompts

BOX_JITTER = 0.05
MAX_CLICKS = 3
CENTER_SHARE = 0.5
FEWEST_WRONG = 10  # cells; fewer are the rim's noise, which no click corrects


def draw_prompt(
    mask: NDArray[np.bool_],
    rng: np.random.Generator,
    box_share: float = 0.5,
    *,
    box_jitter: float = BOX_JITTER,
    max_clicks: int = MAX_CLICKS,
    center_share: float = CENTER_SHARE,
) -> Prompts:
    """One prompt for a mask [H, W] with at least one pixel: a jittered box, or 1 to `max_clicks` clicks on the object.

    `box_jitter` is the standard deviation of each edge in sides of the box; `center_share` of the first clicks are on
    the pixel farthest from the background, the others anywhere on the object.
    """
    if rng.random() < box_share:
        return Prompts.boxes(_loose_box(mask, rng, box_jitter))
    clicks = int(rng.integers(1, max_clicks + 1))
    points = [_click(mask, rng, central=i == 0 and rng.random() < center_share) for i in range(clicks)]
    return Prompts.points(np.stack(points))


def click_on_errors(
    shown: Tensor, wanted: Tensor, valid: Tensor, draws: Tensor, prompt_canvas: int = 1024
) -> tuple[Tensor, Tensor]:
    """The next click of each of P prompts: points_xy [P, 1, 2] on the prompt canvas and labels [P, 1].

    `shown` and `wanted` are masks, bool [P, S, S] over the canvas; the click is on one of the valid cells where they
    differ, foreground where the mask is wanted. `draws` [P] in 0..1 choose which, so the caller owns the chance.
    Fewer than `FEWEST_WRONG` such cells get no click: a token that attention does not see. Source: EdgeSAM.
    """
    wrong = ((shown != wanted) & valid).flatten(1)
    count = wrong.sum(dim=1)
    place = (draws * count).long().clamp(max=count - 1)
    index = torch.searchsorted(wrong.cumsum(dim=1), place[:, None] + 1)[:, 0].clamp(max=wrong.shape[1] - 1)
    side = shown.shape[-1]
    cells = torch.stack([index % side, index // side], dim=1)
    points_xy = (cells + 0.5) * (prompt_canvas / side) - 0.5  # the center of the cell, where pixel 0 is centered on 0
    missing = wanted.flatten(1).gather(1, index[:, None])[:, 0]
    labels = torch.where(missing, int(PointLabel.FOREGROUND), int(PointLabel.BACKGROUND))
    labels = torch.where(count < FEWEST_WRONG, ABSENT_LABEL, labels)
    return points_xy[:, None].float(), labels[:, None]


def _loose_box(mask: NDArray[np.bool_], rng: np.random.Generator, jitter: float) -> NDArray[np.float64]:
    height, width = mask.shape
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x0, x1, y0, y1 = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    sides = np.array([x1 - x0, y1 - y0, x1 - x0, y1 - y0])
    moved = np.array([x0, y0, x1, y1]) + np.clip(rng.normal(0, jitter, 4), -0.2, 0.2) * sides
    return np.clip(moved, 0, [width, height, width, height])


def _click(mask: NDArray[np.bool_], rng: np.random.Generator, central: bool) -> NDArray[np.float64]:
    """A pixel of the mask (x, y): any, or the one farthest from the background."""
    if central:
        from samlet.opencv import cv2

        distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
        y, x = np.unravel_index(int(distance.argmax()), mask.shape)
        return np.array([x, y], np.float64)
    pixels = np.flatnonzero(mask)
    y, x = np.unravel_index(int(rng.choice(pixels)), mask.shape)
    return np.array([x, y], np.float64)
