"""From what a head says of every anchor or cell to proposals: the best of each level, and of those that overlap.

Source: `predict_by_feat` of mmdetection's dense heads with EdgeSAM's settings. Boxes are XYXY pixels of the canvas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

BEST_PER_LEVEL = 2000

Proposals = tuple[Tensor, Tensor]
"""Boxes [N, K, 4] and scores [N, K] in 0..1, 0 for a box that is none."""


def flat(x: Tensor, values: int) -> Tensor:
    """[N, A * values, H, W] -> [N, H * W * A, values]: cell by cell, row by row."""
    return x.permute(0, 2, 3, 1).reshape(len(x), -1, values)


def best_of_levels(
    scores: Sequence[Tensor],
    moves: Sequence[Tensor],
    starts: Sequence[Tensor],
    decode: Callable[[Tensor, Tensor], Tensor],
    canvas: int,
) -> list[Proposals]:
    """Per level at most `BEST_PER_LEVEL` boxes, best first, clipped to the canvas; 0 for a box without area.

    scores [N, A, H, W] are logits and moves [N, 4 * A, H, W] what `decode` takes beside starts [H * W * A, ...].
    """
    levels = zip(scores, moves, starts, strict=True)
    return [_best(flat(s, 1)[..., 0], flat(m, 4), start, decode, canvas) for s, m, start in levels]


def joined(levels: Sequence[Proposals]) -> Proposals:
    """The levels one after the other."""
    return torch.cat([boxes for boxes, _ in levels], dim=1), torch.cat([scores for _, scores in levels], dim=1)


def _best(
    logits: Tensor, moves: Tensor, starts: Tensor, decode: Callable[[Tensor, Tensor], Tensor], canvas: int
) -> Proposals:
    best, order = logits.topk(min(BEST_PER_LEVEL, logits.shape[1]), dim=1)
    chosen = moves.gather(1, order[..., None].expand(-1, -1, 4))
    boxes = decode(starts.to(chosen)[order], chosen).clamp(0, canvas)
    return boxes, best.sigmoid() * (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)


def suppressed(boxes_xyxy: Tensor, iou_threshold: float) -> Tensor:
    """Which of the boxes [N, K, 4], best first, greedy non-maximum suppression removes: bool [N, K].

    A box goes when its IoU with a better one that stays is above the threshold. All boxes are judged at once by those
    that stayed the time before, until nothing changes: the answer is that of one box after the other.
    """
    x0, y0, x1, y1 = boxes_xyxy.unbind(-1)
    overlap = _common(x0, x1) * _common(y0, y1)
    areas = (x1 - x0) * (y1 - y0)
    # Two boxes without area have the IoU 0 / 0, which is above nothing.
    removes = (overlap / (areas[:, :, None] + areas[:, None] - overlap) > iou_threshold).triu(diagonal=1)
    gone = torch.zeros_like(areas, dtype=torch.bool)
    changed = ~gone
    while changed.any():
        before, gone = gone, (removes & ~gone[..., None]).any(dim=1)
        changed = gone != before
    return gone


def _common(start: Tensor, end: Tensor) -> Tensor:
    """How much of a line any two stretches [N, K] of it share: [N, K, K]."""
    shared = torch.minimum(end[:, :, None], end[:, None]) - torch.maximum(start[:, :, None], start[:, None])
    return shared.clamp(min=0)
