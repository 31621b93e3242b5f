"""The BiFPN of EfficientDet-D0: three maps of a backbone become five, mixed top-down and bottom-up three times.

Source: Tan et al. 2020; names and details of open-mmlab/mmdetection `projects/EfficientDet` (Apache-2.0), which EdgeSAM
uses: swish comes before a node's convolution, none after it; the pooling pads with zeros, right and below only.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Maps = Sequence[Tensor]

FUSION_EPS = 1e-4


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """A batch norm with EfficientDet's settings."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class SeparableConv(nn.Module):
    """Depthwise 3x3 without bias, pointwise with bias and, if `norm`, batch norm. [N, C, H, W] -> [N, D, H, W]."""

    def __init__(self, in_channels: int, out_channels: int, norm: bool = True) -> None:
        super().__init__()
        self.depthwise_conv = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
        self.pointwise_conv = nn.Conv2d(in_channels, out_channels, 1)
        self.bn = batch_norm(out_channels) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.pointwise_conv(self.depthwise_conv(x)))


class Projection(nn.Module):
    """A 1x1 convolution with bias and a batch norm: [N, C, H, W] -> [N, D, H, W]."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.down_conv = nn.Conv2d(in_channels, out_channels, 1)
        self.bn = batch_norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.down_conv(x))


class HalvingPool(nn.Module):
    """Maximum over 3x3 with stride 2. [N, C, H, W] -> [N, C, ceil(H/2), ceil(W/2)]."""

    def forward(self, x: Tensor) -> Tensor:
        before_h, after_h = _same_padding(x.shape[-2])
        before_w, after_w = _same_padding(x.shape[-1])
        return F.max_pool2d(F.pad(x, (before_w, after_w, before_h, after_h)), 3, 2)


def _same_padding(side: int) -> tuple[int, int]:
    total = (-(-side // 2) - 1) * 2 - side + 3
    return total // 2, total - total // 2


class BiFpnStage(nn.Module):
    """One round over the levels P3 to P7. The first round takes the backbone's three maps and makes P6 and P7.

    [N, Ci, Hi, Wi] of three levels (first round) or five -> five levels [N, channels, …], each half the one before it.
    """

    def __init__(self, channels: int, backbone_channels: tuple[int, int, int] | None = None) -> None:
        super().__init__()
        for name in ("p6_w1", "p5_w1", "p4_w1", "p3_w1"):
            self.register_parameter(name, nn.Parameter(torch.ones(2)))
        for name, inputs in (("p4_w2", 3), ("p5_w2", 3), ("p6_w2", 3), ("p7_w2", 2)):
            self.register_parameter(name, nn.Parameter(torch.ones(inputs)))
        self.pool = HalvingPool()
        self.first = backbone_channels is not None
        if backbone_channels is not None:
            c3, c4, c5 = backbone_channels
            self.p5_down_channel = Projection(c5, channels)
            self.p4_down_channel = Projection(c4, channels)
            self.p3_down_channel = Projection(c3, channels)
            self.p5_to_p6 = nn.Sequential(Projection(c5, channels), HalvingPool())
            self.p4_level_connection = Projection(c4, channels)
            self.p5_level_connection = Projection(c5, channels)
        for level in (6, 5, 4, 3):
            self.add_module(f"conv{level}_up", SeparableConv(channels, channels))
        for level in (4, 5, 6, 7):
            self.add_module(f"conv{level}_down", SeparableConv(channels, channels))

    def forward(self, maps: Maps) -> list[Tensor]:
        levels = self._levels(maps)
        up = {7: levels[7]}
        for level in (6, 5, 4, 3):
            coarser = F.interpolate(up[level + 1], scale_factor=2, mode="nearest")
            up[level] = self._node(f"p{level}_w1", f"conv{level}_up", levels[level], coarser)
        if self.first:  # bottom-up, the first round projects the backbone's maps a second time
            levels[4], levels[5] = self.p4_level_connection(maps[1]), self.p5_level_connection(maps[2])
        down = {3: up[3]}
        for level in (4, 5, 6):
            finer = self.pool(down[level - 1])
            down[level] = self._node(f"p{level}_w2", f"conv{level}_down", levels[level], up[level], finer)
        down[7] = self._node("p7_w2", "conv7_down", levels[7], self.pool(down[6]))
        return [down[level] for level in (3, 4, 5, 6, 7)]

    def _levels(self, maps: Maps) -> dict[int, Tensor]:
        if not self.first:
            return dict(zip((3, 4, 5, 6, 7), maps, strict=True))
        c3, c4, c5 = maps
        p6 = self.p5_to_p6(c5)
        return {
            3: self.p3_down_channel(c3),
            4: self.p4_down_channel(c4),
            5: self.p5_down_channel(c5),
            6: p6,
            7: self.pool(p6),
        }

    def _node(self, weights: str, conv: str, *inputs: Tensor) -> Tensor:
        """Fast normalized fusion: a weighted sum with weights at least 0 that add up to nearly 1, then the node."""
        weight = self.get_parameter(weights).relu()
        weight = weight / (weight.sum() + FUSION_EPS)
        mixed = torch.stack([share * x for share, x in zip(weight, inputs, strict=True)]).sum(dim=0)
        return self.get_submodule(conv)(F.silu(mixed))


class BiFpn(nn.Module):
    """Three maps at strides 8, 16, 32 -> five maps [N, channels, …] at strides 8, 16, 32, 64, 128."""

    def __init__(self, backbone_channels: tuple[int, int, int], channels: int = 64, rounds: int = 3) -> None:
        super().__init__()
        first = BiFpnStage(channels, backbone_channels)
        self.bifpn = nn.Sequential(first, *(BiFpnStage(channels) for _ in range(rounds - 1)))

    def forward(self, maps: Maps) -> list[Tensor]:
        return self.bifpn(maps)
