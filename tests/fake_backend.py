"""A backend without a network: every candidate is a disc around the first point, its radius set by the column."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from samlet.backend import ArrayMaskLogits
from samlet.models.registry import get_spec

RADII = (16.0, 8.0, 16.0, 32.0)  # of the four candidates, in pixels of the 256 grid
SPEC = replace(get_spec("efficientvit-sam-b0"), pred_iou_thresh=0.88, stability_score_thresh=0.95)
IOU = (0.5, 0.7, 0.95, 0.9)


@dataclass
class FakeBackend:
    """`upscaled` lists how many masks each upscale made; `decoded` the tokens of each decode."""

    name: str = "fake"
    spec: object = SPEC
    iou: tuple[float, ...] = IOU
    radii: tuple[float, ...] = RADII
    upscaled: list[int] = field(default_factory=list)
    decoded: list[tuple] = field(default_factory=list)

    def encode(self, pixels):
        return {"image_embeddings": np.repeat(pixels.mean((1, 2, 3)), 256 * 64 * 64).reshape(-1, 256, 64, 64)}

    def decode(self, features, tokens):
        points_xy = tokens.points_xy
        self.decoded.append((points_xy, tokens.labels, tokens.mask_hint))
        y, x = np.mgrid[:256, :256] + 0.5

        def upscale(rows, columns):
            self.upscaled.append(len(rows))
            discs = [np.hypot(*(np.stack([x, y]) - (points_xy[r, 0] / 4)[:, None, None])) for r in rows]
            radii = np.array(self.radii)[columns]
            return (radii[:, None, None] - np.array(discs)).astype(np.float32)

        return ArrayMaskLogits(np.tile(np.float32(self.iou), (len(points_xy), 1)), upscale)
