"""A model that answers with rectangles, on images as large as its logits, so that every IoU is known exactly."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.backend import ArrayMaskLogits
from samlet.data import Annotation, Sample
from samlet.geometry.rle import encode
from samlet.predictor import Predictor
from samlet.prompts import PointLabel
from samlet.spec import ImageSpec, ModelSpec

SIDE = 256
SPEC = ModelSpec(
    name="rectangles",
    family="fake",
    image=ImageSpec(canvas=64, prompt_canvas=SIDE),
    builder="nowhere:build",
    options={},
    parameters=0,
    encoder_macs=0,
    license="none",
    aliases=(),
    checkpoint=None,
)


class RectangleBackend:
    """For a box: left half, the box, nothing, everything. For clicks: 41 x 41 squares around foreground ones.

    A click's candidates are its squares (twice), nothing and everything. `iou` [4] is predicted for every prompt.
    `seen` keeps what each call was given.
    """

    name = "fake"
    spec = SPEC

    def __init__(self, iou: tuple[float, float, float, float] = (0.1, 0.9, 0.5, 0.3)) -> None:
        self.iou = np.array(iou, np.float32)
        self.encoded = 0
        self.seen: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]] = []

    def encode(self, pixels: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        self.encoded += 1
        return {"image_embeddings": np.zeros((1, 256, 64, 64), np.float32)}

    def decode(self, features, tokens) -> ArrayMaskLogits:
        points_xy, labels = tokens.points_xy, tokens.labels
        self.seen.append((points_xy, labels, tokens.mask_hint))

        @cache
        def candidates(row: int) -> NDArray[np.bool_]:
            return _candidates(points_xy[row], labels[row])

        def upscale(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float32]:
            masks = np.stack([candidates(row)[column] for row, column in zip(rows, columns, strict=True)])
            return np.where(masks, np.float32(8), np.float32(-8))

        return ArrayMaskLogits(np.tile(self.iou, (len(labels), 1)), upscale)


def predictor(**options: Any) -> Predictor:
    return Predictor(RectangleBackend(**options))


def load(name: str | None = None, **options: Any) -> Predictor:
    """In place of `samlet.loading.load`; worker processes find it by its name."""
    return predictor()


def rectangle(left: int, top: int, right: int, bottom: int) -> NDArray[np.bool_]:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[max(top, 0) : bottom, max(left, 0) : right] = True
    return mask


def annotation(left: int, top: int, right: int, bottom: int, number: int = 1) -> Annotation:
    box_xywh = (float(left), float(top), float(right - left), float(bottom - top))
    area_px = float((right - left) * (bottom - top))
    return Annotation(number, encode(rectangle(left, top, right, bottom)), box_xywh, area_px)


def gray_image() -> NDArray[np.uint8]:
    return np.full((SIDE, SIDE, 3), 128, np.uint8)


def sample(*annotations: Annotation, name: str = "fake_1", source: str = "fake") -> Sample:
    return Sample(name, source, gray_image, (SIDE, SIDE), annotations)


def _candidates(points_xy: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    everything = np.ones((SIDE, SIDE), bool)
    corners = points_xy[labels >= PointLabel.BOX_TOP_LEFT].round().astype(int)
    if len(corners):
        (left, top), (right, bottom) = corners
        box = rectangle(left, top, right, bottom)
        return np.stack([rectangle(left, top, (left + right) // 2, bottom), box, ~everything, everything])
    squares = np.zeros((SIDE, SIDE), bool)
    for x, y in points_xy[labels == PointLabel.FOREGROUND].round().astype(int):
        squares |= rectangle(x - 20, y - 20, x + 21, y + 21)
    return np.stack([squares, squares, ~everything, everything])
