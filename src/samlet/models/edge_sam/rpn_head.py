"""The region proposal head of Faster R-CNN (Ren et al. 2015).

Source: names and details of mmdetection's `RPNHead`, with the settings of EdgeSAM's `rpn`. Its anchors are those of
maps twice as fine as the ones it is given, so that they lie in the upper left quarter of the image alone, at half the
size: a head trained so is to be run so.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from samlet.models.edge_sam.anchors import AnchorShapes, anchors, decode
from samlet.models.edge_sam.proposals import Proposals, best_of_levels, joined, suppressed

STRIDES = (4, 8, 16, 32, 64)
SHAPES = AnchorShapes(aspects=(0.5, 1.0, 2.0), scales=(8.0,), center=0.0)
MAX_IOU = 0.7
MAX_PROPOSALS = 1000


class RpnHead(nn.Module):
    """Five maps [N, C, Hi, Wi] -> per map score logits [N, 3, Hi, Wi] and box offsets [N, 12, Hi, Wi] of anchors."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rpn_conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.rpn_cls = nn.Conv2d(channels, SHAPES.per_cell, 1)
        self.rpn_reg = nn.Conv2d(channels, SHAPES.per_cell * 4, 1)

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        seen = [F.relu(self.rpn_conv(x)) for x in maps]
        return [self.rpn_cls(x) for x in seen], [self.rpn_reg(x) for x in seen]

    def proposals(self, scores: Sequence[Tensor], offsets: Sequence[Tensor], canvas: int) -> Proposals:
        """What `forward` says as boxes [N, K, 4] on the canvas and scores [N, K], at most `MAX_PROPOSALS`, best first.

        Neighbors within a level that overlap a better one by more than `MAX_IOU` are out, whatever is asked of the
        official head; where too few are left, boxes of score 0 fill up.
        """
        sizes = [(x.shape[-2], x.shape[-1]) for x in scores]
        starts = [anchors(size, stride, SHAPES) for size, stride in zip(sizes, STRIDES, strict=True)]
        levels = best_of_levels(scores, offsets, starts, decode, canvas)
        boxes, found = joined([_apart(*level) for level in levels])
        best, order = found.topk(min(MAX_PROPOSALS, found.shape[1]), dim=1)
        return boxes.gather(1, order[..., None].expand(-1, -1, 4)), best


def _apart(boxes_xyxy: Tensor, scores: Tensor) -> Proposals:
    """One level's proposals, the score 0 for those that overlap a better one."""
    return boxes_xyxy, scores * ~suppressed(boxes_xyxy, MAX_IOU)
