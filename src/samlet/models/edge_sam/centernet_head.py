"""The head of CenterNet2's first stage (Zhou et al. 2021): every cell says how far the sides of its box are.

Source: names and details of mmdetection's `CenterNetUpdateHead`, with the settings of EdgeSAM's `centernet`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samlet.models.edge_sam.proposals import Proposals, best_of_levels, joined

STRIDES = (8, 16, 32, 64, 128)
DEPTH = 4
GROUPS = 32


class ConvNorm(nn.Module):
    """3x3 convolution without bias, group norm, ReLU: [N, C, H, W] -> [N, C, H, W]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.gn = nn.GroupNorm(GROUPS, channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.gn(self.conv(x)))


class Scale(nn.Module):
    """A learned factor of a level."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class CenterNetHead(nn.Module):
    """Five maps [N, C, Hi, Wi] -> per map score logits [N, 1, Hi, Wi] and distances [N, 4, Hi, Wi] in canvas pixels.

    The distances are those from a cell's center to the left, top, right and bottom of its box. The maps share all
    weights but a factor.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cls_convs, self.reg_convs = _tower(channels), _tower(channels)
        self.conv_cls = nn.Conv2d(channels, 1, 3, padding=1)
        self.conv_reg = nn.Conv2d(channels, 4, 3, padding=1)
        self.scales = nn.ModuleList([Scale() for _ in STRIDES])

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        scores = [self.conv_cls(self.cls_convs(x)) for x in maps]
        levels = zip(maps, self.scales, STRIDES, strict=True)
        distances = [scale(self.conv_reg(self.reg_convs(x))).clamp(min=0) * stride for x, scale, stride in levels]
        return scores, distances

    def proposals(self, scores: Sequence[Tensor], distances: Sequence[Tensor], canvas: int) -> Proposals:
        """What `forward` says as boxes [N, K, 4] on the canvas and scores [N, K]; the levels one after the other."""
        starts = [_centers(x, stride) for x, stride in zip(scores, STRIDES, strict=True)]
        return joined(best_of_levels(scores, distances, starts, _around, canvas))


def _tower(channels: int) -> nn.Sequential:
    return nn.Sequential(*(ConvNorm(channels) for _ in range(DEPTH)))


def _centers(x: Tensor, stride: int) -> Tensor:
    """The centers of the cells of a map, row by row: float32 [H * W, 2]."""
    rows, columns = torch.meshgrid(torch.arange(x.shape[-2]), torch.arange(x.shape[-1]), indexing="ij")
    return (torch.stack([columns, rows], dim=-1).reshape(-1, 2) + 0.5) * stride


def _around(centers: Tensor, distances: Tensor) -> Tensor:
    return torch.cat([centers - distances[..., :2], centers + distances[..., 2:]], dim=-1)
