"""Anchor boxes and the offsets that turn them into other boxes. Boxes are XYXY pixels of the encoder's canvas.

Source: mmdetection's `AnchorGenerator` and `DeltaXYWHBBoxCoder`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class AnchorShapes:
    """The boxes of a cell: every aspect (height over width) in every scale (its side in strides).

    `center`: where in the cell their center lies, 0.5 is its middle.
    """

    aspects: tuple[float, ...]
    scales: tuple[float, ...]
    center: float = 0.5

    @property
    def per_cell(self) -> int:
        return len(self.aspects) * len(self.scales)


STRIDES = (8, 16, 32, 64, 128)
EFFICIENT_DET = AnchorShapes((1.0, 0.5, 2.0), tuple(4 * 2 ** (third / 3) for third in range(3)))
# No offset makes a side more than 62.5 times as long or as short as the anchor's.
MAX_LOG_RATIO = math.log(1000 / 16)


def anchors(size_hw: tuple[int, int], stride: int, shapes: AnchorShapes = EFFICIENT_DET) -> Tensor:
    """The boxes of every cell of a map, row by row, aspect by aspect: float32 [H * W * per_cell, 4]."""
    height, width = size_hw
    sides = torch.tensor([(s / math.sqrt(a), s * math.sqrt(a)) for a in shapes.aspects for s in shapes.scales]) * stride
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centers = (torch.stack([x, y], dim=-1).reshape(-1, 1, 2) + shapes.center) * stride
    return torch.cat([centers - sides / 2, centers + sides / 2], dim=-1).reshape(-1, 4)


def decode(boxes_xyxy: Tensor, offsets: Tensor) -> Tensor:
    """Boxes [..., 4] moved and stretched by offsets [..., 4]: (dx, dy) in sides, then the logs of two ratios."""
    centers, sides = _centers_and_sides(boxes_xyxy)
    centers = centers + sides * offsets[..., :2]
    half = sides * offsets[..., 2:].clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp() / 2
    return torch.cat([centers - half, centers + half], dim=-1)


def encode(boxes_xyxy: Tensor, wanted_xyxy: Tensor) -> Tensor:
    """The offsets [..., 4] that turn boxes into the wanted ones; every side is longer than 0."""
    centers, sides = _centers_and_sides(boxes_xyxy)
    wanted_centers, wanted_sides = _centers_and_sides(wanted_xyxy)
    return torch.cat([(wanted_centers - centers) / sides, (wanted_sides / sides).log()], dim=-1)


def iou(boxes_xyxy: Tensor, box_xyxy: Tensor) -> Tensor:
    """Intersection over union [A] of boxes [A, 4] with one box [4]; 0 where both are empty."""
    top_left = torch.maximum(boxes_xyxy[:, :2], box_xyxy[:2])
    bottom_right = torch.minimum(boxes_xyxy[:, 2:], box_xyxy[2:])
    overlap = (bottom_right - top_left).clamp(min=0).prod(dim=1)
    area, areas = (_centers_and_sides(boxes)[1].prod(dim=-1) for boxes in (box_xyxy, boxes_xyxy))
    return overlap / (area + areas - overlap).clamp(min=1e-6)


def _centers_and_sides(boxes_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    top_left, bottom_right = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return (top_left + bottom_right) / 2, bottom_right - top_left
