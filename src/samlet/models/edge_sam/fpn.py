"""The feature pyramid of Lin et al. 2017: three maps of a backbone become five, mixed top-down once.

Source: names and details of mmdetection's `FPN` without norms and activations, as EdgeSAM has it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

EXTRA_LEVELS = 2


class Conv(nn.Module):
    """A convolution that keeps the size, under the name `conv`: [N, C, H, W] -> [N, D, H, W]."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Fpn(nn.Module):
    """Three maps at strides 8, 16, 32 -> five maps [N, channels, …] at strides 8, 16, 32, 64, 128."""

    def __init__(self, backbone_channels: tuple[int, int, int], channels: int) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList([Conv(of_map, channels, 1) for of_map in backbone_channels])
        self.fpn_convs = nn.ModuleList([Conv(channels, channels, 3) for _ in backbone_channels])

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        mixed = [lateral(x) for lateral, x in zip(self.lateral_convs, maps, strict=True)]
        for level in range(len(mixed) - 1, 0, -1):
            finer = mixed[level - 1]
            mixed[level - 1] = finer + F.interpolate(mixed[level], size=finer.shape[-2:], mode="nearest")
        levels = [conv(x) for conv, x in zip(self.fpn_convs, mixed, strict=True)]
        for _ in range(EXTRA_LEVELS):
            levels.append(levels[-1][..., ::2, ::2])
        return levels
