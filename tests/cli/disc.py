"""A backend without a network: the mask of a prompt is a disc around its first token, larger for later candidates."""

from __future__ import annotations

import numpy as np

from samlet.backend import ArrayMaskLogits
from samlet.predictor import Predictor
from samlet.spec import ImageSpec, ModelSpec

IOU = (0.5, 0.7, 0.9, 0.8)
# Radii in low-resolution pixels, of which a 256-pixel square image has one per pixel.
RADII = (10.0, 20.0, 30.0, 40.0)

SPEC = ModelSpec("disc", "test", ImageSpec(64), "none:none", {}, 0, 0, "Apache-2.0")


class DiscBackend:
    name = "disc"
    spec = SPEC

    def encode(self, pixels):
        return {"image_embeddings": np.zeros((len(pixels), 256, 64, 64), np.float32)}

    def decode(self, features, tokens):
        centers = tokens.points_xy[:, 0] / 4
        y, x = np.mgrid[:256, :256]

        def upscale(rows, columns):
            away = [np.hypot(x - centers[row][0], y - centers[row][1]) for row in rows]
            return np.stack([RADII[column] - a for a, column in zip(away, columns, strict=True)]).astype(np.float32)

        return ArrayMaskLogits(np.tile(np.float32(IOU), (len(tokens), 1)), upscale)


def predictor() -> Predictor:
    return Predictor(DiscBackend())
