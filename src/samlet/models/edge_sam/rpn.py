"""EdgeSAM with a region proposal network, which says what a lone click means on the data it was trained on.

Source: the EdgeSAM paper and chongzhou96/EdgeSAM `sam.py`, whose names of the three heads are ours. The paper has
`efficient_det`, with names and details of open-mmlab/mmdetection `projects/EfficientDet` (Apache-2.0); no weights of
any were published. `samlet train rpn` makes those of `efficient_det`; the others are run, not trained.
How a click is read by the proposals is in `samlet.geometry.box_prior`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from samlet.errors import ModelError
from samlet.geometry.box_prior import BOXES, SCORES
from samlet.models.edge_sam.anchors import EFFICIENT_DET, STRIDES, anchors, decode
from samlet.models.edge_sam.bifpn import BiFpn, SeparableConv, batch_norm
from samlet.models.edge_sam.centernet_head import CenterNetHead
from samlet.models.edge_sam.fpn import Fpn
from samlet.models.edge_sam.network import EdgeSamEncoder, Upsampling, build_encoder
from samlet.models.edge_sam.proposals import Proposals, best_of_levels, joined
from samlet.models.edge_sam.rpn_head import RpnHead
from samlet.nn.sam import Sam
from samlet.spec import ModelSpec

WIDTHS = (96, 192, 384)  # of the encoder's maps at strides 8, 16 and 32
CHANNELS = 64
FPN_CHANNELS = 96
DEPTH = 3
PER_CELL = EFFICIENT_DET.per_cell
START_SCORE = 0.01  # of every anchor of an untrained head: nearly all of them are background

Head = Literal["efficient_det", "rpn", "centernet"]


class EfficientDetHead(nn.Module):
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

    def proposals(self, scores: Sequence[Tensor], offsets: Sequence[Tensor], canvas: int) -> Proposals:
        """What `forward` says as boxes [N, K, 4] on the canvas and scores [N, K]; the levels one after the other.

        Neighbors overlap much.
        """
        starts = [anchors((x.shape[-2], x.shape[-1]), stride) for x, stride in zip(scores, STRIDES, strict=True)]
        return joined(best_of_levels(scores, offsets, starts, decode, canvas))


class EdgeSamRpn(Sam):
    """EdgeSAM with a neck (`fpn`) and a class-agnostic head (`rpn_head`) on three maps of its encoder.

    Its features hold, beside the embedding, the boxes [N, K, 4] in prompt-canvas pixels and scores [N, K] in 0..1 of K
    proposals: on a canvas of 1024, 8,576 of `efficient_det`, 1,000 of `rpn`, 5,344 of `centernet`.
    ModelError for another head.
    """

    feature_names = (*Sam.feature_names, BOXES, SCORES)

    def __init__(self, spec: ModelSpec, image_encoder: EdgeSamEncoder, head: Head = "efficient_det") -> None:
        super().__init__(spec, image_encoder)
        if head not in _PARTS:
            raise ModelError(f'There is no head "{head}" that proposes regions: use {", ".join(get_args(Head))}.')
        self.fpn, self.rpn_head = _PARTS[head]()

    def features(self, pixels: Tensor) -> dict[str, Tensor]:
        """Normalized pixels [N, 3, S, S] -> embedding and proposals, named as in `feature_names`."""
        maps = self.maps(pixels)
        scores, offsets = self.rpn_head(self.fpn(maps[2:]))
        boxes_xyxy, scores = self.rpn_head.proposals(scores, offsets, pixels.shape[-1])
        scale = self.spec.image.prompt_canvas / pixels.shape[-1]
        return {"image_embeddings": self._encoder.embed(maps), BOXES: boxes_xyxy * scale, SCORES: scores}

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """The encoder's five maps, the last three of them at strides 8, 16 and 32 for `fpn`."""
        return self._encoder.features.forward_features(pixels)

    @property
    def _encoder(self) -> EdgeSamEncoder:
        assert isinstance(self.image_encoder, EdgeSamEncoder)
        return self.image_encoder


_PARTS: dict[str, Callable[[], tuple[BiFpn | Fpn, EfficientDetHead | RpnHead | CenterNetHead]]] = {
    "efficient_det": lambda: (BiFpn(WIDTHS, CHANNELS), EfficientDetHead()),
    "rpn": lambda: (Fpn(WIDTHS, FPN_CHANNELS), RpnHead(FPN_CHANNELS)),
    "centernet": lambda: (Fpn(WIDTHS, FPN_CHANNELS), CenterNetHead(FPN_CHANNELS)),
}


def build(spec: ModelSpec, size: str, upsampling: Upsampling = "bicubic", head: Head = "efficient_det") -> EdgeSamRpn:
    """The model with random weights; `size` and `upsampling` are those of EdgeSAM. ModelError for another head."""
    return EdgeSamRpn(spec, build_encoder(size, upsampling), head)


def _tower() -> nn.ModuleList:
    return nn.ModuleList([SeparableConv(CHANNELS, CHANNELS, norm=False) for _ in range(DEPTH)])


def _norms() -> nn.ModuleList:
    return nn.ModuleList([nn.ModuleList([batch_norm(CHANNELS) for _ in STRIDES]) for _ in range(DEPTH)])


def _run(convs: nn.ModuleList, norms: nn.ModuleList, level: int, x: Tensor) -> Tensor:
    for conv, of_levels in zip(convs, norms, strict=True):
        x = F.silu(of_levels.get_submodule(str(level))(conv(x)))
    return x
