"""EdgeSAM with a region proposal network, which says what a lone click means on the data it was trained on.

Source: the EdgeSAM paper and chongzhou96/EdgeSAM `sam.py` with `efficient_det`; the head's names and details are those
of open-mmlab/mmdetection `projects/EfficientDet` (Apache-2.0). Its weights were never published: `samlet train rpn`.
How a click is read by the proposals is in `samlet.geometry.box_prior`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samlet.geometry.box_prior import BOXES, SCORES
from samlet.models.edge_sam import EdgeSamEncoder, Upsampling, build_encoder
from samlet.models.sam import Sam
from samlet.nn.anchors import PER_CELL, STRIDES, anchors, decode
from samlet.nn.bifpn import BiFpn, SeparableConv, batch_norm
from samlet.spec import ModelSpec

WIDTHS = (96, 192, 384)  # of the encoder's maps at strides 8, 16 and 32
CHANNELS = 64
DEPTH = 3
BEST_PER_LEVEL = 2000
START_SCORE = 0.01  # of every anchor of an untrained head: nearly all of them are background


class RpnHead(nn.Module):
    """Five maps [N, 64, Hi, Wi] -> per map score logits [N, 9, Hi, Wi] and box offsets [N, 36, Hi, Wi] of its anchors.

    The maps share convolutions and have batch norms of their own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reg_conv_list, self.cls_conv_list = _tower(), _tower()
        self.reg_bn_list, self.cls_bn_list = _norms(), _norms()
        self.cls_header = SeparableConv(CHANNELS, PER_CELL, norm=False)
        self.reg_header = SeparableConv(CHANNELS, PER_CELL * 4, norm=False)
        for header, start in ((self.cls_header, math.log(START_SCORE / (1 - START_SCORE))), (self.reg_header, 0.0)):
            assert header.pointwise_conv.bias is not None
            nn.init.constant_(header.pointwise_conv.bias, start)

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        scores = [self.cls_header(_run(self.cls_conv_list, self.cls_bn_list, level, x)) for level, x in enumerate(maps)]
        offsets = [
            self.reg_header(_run(self.reg_conv_list, self.reg_bn_list, level, x)) for level, x in enumerate(maps)
        ]
        return scores, offsets


class EdgeSamRpn(Sam):
    """EdgeSAM with a BiFPN (`fpn`) and a class-agnostic head (`rpn_head`) on three maps of its encoder.

    Its features hold, beside the embedding, the boxes [N, K, 4] in prompt-canvas pixels and scores [N, K] in 0..1 of K
    proposals, the best of each level: 8,576 on a canvas of 1024.
    """

    feature_names = (*Sam.feature_names, BOXES, SCORES)

    def __init__(self, spec: ModelSpec, image_encoder: EdgeSamEncoder) -> None:
        super().__init__(spec, image_encoder)
        self.fpn = BiFpn(WIDTHS, CHANNELS)
        self.rpn_head = RpnHead()

    def features(self, pixels: Tensor) -> dict[str, Tensor]:
        """Normalised pixels [N, 3, S, S] -> embedding and proposals, named as in `feature_names`."""
        maps = self.maps(pixels)
        scores, offsets = self.rpn_head(self.fpn(maps[2:]))
        boxes_xyxy, scores = proposals(scores, offsets, pixels.shape[-1])
        scale = self.spec.image.prompt_canvas / pixels.shape[-1]
        return {"image_embeddings": self._encoder.embed(maps), BOXES: boxes_xyxy * scale, SCORES: scores}

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """The encoder's five maps, the last three of them at strides 8, 16 and 32 for `fpn`."""
        return self._encoder.features.forward_features(pixels)

    @property
    def _encoder(self) -> EdgeSamEncoder:
        assert isinstance(self.image_encoder, EdgeSamEncoder)
        return self.image_encoder


def flat(maps: Sequence[Tensor], values: int) -> list[Tensor]:
    """Per level [N, 9 * values, H, W] -> [N, H * W * 9, values], in the order of `anchors`."""
    return [x.permute(0, 2, 3, 1).reshape(len(x), -1, values) for x in maps]


def proposals(scores: Sequence[Tensor], offsets: Sequence[Tensor], canvas: int) -> tuple[Tensor, Tensor]:
    """What `RpnHead` says as boxes [N, K, 4], clipped to the canvas, and scores [N, K]; 0 for a box without area.

    At most `BEST_PER_LEVEL` of each level, best first; the levels one after the other. Neighbours overlap much.
    """
    levels = zip(flat(scores, 1), flat(offsets, 4), scores, STRIDES, strict=True)
    found = [
        _best(logits[..., 0], moves, anchors((x.shape[-2], x.shape[-1]), stride), canvas)
        for logits, moves, x, stride in levels
    ]
    return torch.cat([boxes for boxes, _ in found], dim=1), torch.cat([best for _, best in found], dim=1)


def _best(logits: Tensor, offsets: Tensor, boxes_xyxy: Tensor, canvas: int) -> tuple[Tensor, Tensor]:
    """The best of one level's A anchors: logits [N, A], offsets [N, A, 4], anchors [A, 4] -> [N, K, 4], [N, K]."""
    best, order = logits.topk(min(BEST_PER_LEVEL, logits.shape[1]), dim=1)
    moves = offsets.gather(1, order[..., None].expand(-1, -1, 4))
    moved = decode(boxes_xyxy.to(moves)[order], moves).clamp(0, canvas)
    return moved, best.sigmoid() * (moved[..., 2:] > moved[..., :2]).all(dim=-1)


def build(spec: ModelSpec, size: str, upsampling: Upsampling = "bicubic") -> EdgeSamRpn:
    """The model with random weights; `size` and `upsampling` are those of EdgeSAM."""
    return EdgeSamRpn(spec, build_encoder(size, upsampling))


def _tower() -> nn.ModuleList:
    return nn.ModuleList([SeparableConv(CHANNELS, CHANNELS, norm=False) for _ in range(DEPTH)])


def _norms() -> nn.ModuleList:
    return nn.ModuleList([nn.ModuleList([batch_norm(CHANNELS) for _ in STRIDES]) for _ in range(DEPTH)])


def _run(convs: nn.ModuleList, norms: nn.ModuleList, level: int, x: Tensor) -> Tensor:
    for conv, of_levels in zip(convs, norms, strict=True):
        x = F.silu(of_levels.get_submodule(str(level))(conv(x)))
    return x
