"""Scenes in which a thing has a gray level of its own, and what finds them: everything mode if it saw levels."""

from dataclasses import dataclass, field

import numpy as np

from samlet.geometry.rle import encode
from samlet.masks import Mask, MaskSet
from samlet.prompts import PointLabel
from samlet.scenes import View

THINGS = {1: (30, 30, 90, 80), 2: (100, 20, 300, 60), 3: (20, 150, 60, 290)}
SIZE_HW = (300, 420)


class PaintedScene:
    """A scene in which a thing has a gray level of its own; `nothing` is a box in which it shows nothing."""

    def __init__(self, things=THINGS, size_hw=SIZE_HW, nothing=None):
        self.size_hw = size_hw
        self.levels = np.zeros(size_hw, np.uint8)
        for level, (left, top, right, bottom) in things.items():
            self.levels[top:bottom, left:right] = level
        self.valid = np.ones(size_hw, bool)
        if nothing is not None:
            left, top, right, bottom = nothing
            self.valid[top:bottom, left:right] = False
        self.read_windows = []

    def read(self, window, step=1):
        self.read_windows.append((window, step))
        part = slice(window.top, window.bottom, step), slice(window.left, window.right, step)
        return View(np.repeat(self.levels[part][..., None], 3, axis=2), self.valid[part])


@dataclass(frozen=True)
class Finder:
    """What everything mode would be if it saw levels: `generate` and `ask` of a picture of things."""

    disjoint: bool = False
    asked: list = field(default_factory=list)

    def generate(self, pixels):
        self.asked.append(pixels.shape)
        levels = [level for level in np.unique(pixels).tolist() if level]
        masks = [Mask(encode(pixels[..., 0] == level), 0.9, 0.95, (3.0, 4.0)) for level in levels]
        return MaskSet(masks, pixels.shape[:2])

    def ask(self, pixels, prompts):
        first = prompts.points_xy[0][prompts.labels[0] == PointLabel.FOREGROUND]
        corners = prompts.points_xy[0][prompts.labels[0] >= PointLabel.BOX_TOP_LEFT]
        x, y = (first[0] if len(first) else corners.mean(axis=0)).astype(int)
        return MaskSet([Mask(encode(pixels[..., 0] == pixels[y, x, 0]), 0.8, 0.9)], pixels.shape[:2])
