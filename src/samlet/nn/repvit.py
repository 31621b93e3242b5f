"""RepViT: inverted residuals taken apart into a depthwise token mixer and a pointwise channel mixer.

Source: THU-MIG/RepViT `model/repvit.py` (arXiv 2307.09283) and chongzhou96/EdgeSAM `rep_vit.py`, which keeps an earlier
form of the token mixer. Shared by EdgeSAM and RepViT-SAM. Activations are GELU in its exact (erf) form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from samlet.nn.layers import ConvBN, SamNeck

SUMMED_AT_ONCE = 16


class RepDepthwise(nn.Module):
    """Depthwise 3x3, 1x1 and identity, summed; a norm in each convolved branch. [N, C, H, W] -> same.

    The token mixer of RepViT's first code, which EdgeSAM was trained with.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ConvBN(channels, channels, 3, groups=channels)
        self.conv1 = ConvBN(channels, channels, 1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.conv1(x) + x

    def fused(self) -> nn.Conv2d:
        """One depthwise 3x3 convolution with a bias."""
        return _sum_of_branches(self.conv.fused(), self.conv1.fused())


class RepDepthwiseNorm(nn.Module):
    """Depthwise 3x3 with a norm, 1x1 with a bias and identity, summed, then a norm of the sum. [N, C, H, W] -> same.

    The token mixer of RepViT as published, which RepViT-SAM was trained with.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ConvBN(channels, channels, 3, groups=channels)
        self.conv1 = nn.Conv2d(channels, channels, 1, groups=channels)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x) + self.conv1(x) + x)

    def fused(self) -> nn.Conv2d:
        """One depthwise 3x3 convolution with a bias."""
        return fuse_conv_bn_eval(_sum_of_branches(self.conv.fused(), self.conv1), self.bn)


class SqueezeExcite(nn.Module):
    """Scales each channel by a number in (0, 1) computed from the means of all channels. [N, C, H, W] -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(8, int(channels / 4 + 4) // 8 * 8)  # a quarter, rounded to a multiple of 8
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc2(F.relu(self.fc1(mean_of_places(x)))).sigmoid()


def mean_of_places(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, 1, 1]; in float32 at least, as the sums would overflow float16.

    ONNX Runtime adds up one value after the other, at the cost of two digits in a map of 256 x 256: so rows come before
    columns, and short pieces of each before the whole.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    mean = x
    for dim in (3, 2):
        if mean.shape[dim] % SUMMED_AT_ONCE == 0:
            mean = mean.unflatten(dim, (-1, SUMMED_AT_ONCE)).mean(dim + 1, dtype=dtype)
        mean = mean.mean(dim, keepdim=True, dtype=dtype)
    return mean.to(x.dtype)


class ChannelMixer(nn.Module):
    """Residual pointwise MLP, expansion 2; starts as the identity. [N, C, H, W] -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        last = ConvBN(2 * channels, channels)
        nn.init.zeros_(last.bn.weight)
        self.m = nn.Sequential(ConvBN(channels, 2 * channels), nn.GELU(), last)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.m(x)


class RepViTBlock(nn.Sequential):
    """Token mixer (`mixer`, perhaps squeeze-excite), then channel mixer. [N, C, H, W] -> same."""

    def __init__(self, channels: int, mixer: Callable[[int], nn.Module], squeeze: bool) -> None:
        super().__init__()
        gate = SqueezeExcite(channels) if squeeze else nn.Identity()
        self.add_module("token_mixer", nn.Sequential(mixer(channels), gate))
        self.add_module("channel_mixer", ChannelMixer(channels))


class DownsamplingBlock(nn.Sequential):
    """Strided depthwise 3x3, pointwise to another width, channel mixer. [N, C, H, W] -> [N, D, H/stride, W/stride]."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        depthwise = ConvBN(in_channels, in_channels, 3, stride, groups=in_channels)
        # The place of a squeeze-excite that no published configuration has, but whose number the names keep.
        self.add_module("token_mixer", nn.Sequential(depthwise, nn.Identity(), ConvBN(in_channels, out_channels)))
        self.add_module("channel_mixer", ChannelMixer(out_channels))


@dataclass(frozen=True)
class RepViTConfig:
    """Width of each of the four stages and its number of blocks, the downsampling one not counted."""

    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]


class RepViT(nn.Sequential):
    """The backbone: a stem, then blocks, numbered through. [N, 3, S, S] -> the last map.

    With `keep_resolution` the last stage stays at stride 16 instead of 32.
    """

    def __init__(self, config: RepViTConfig, mixer: Callable[[int], nn.Module], keep_resolution: bool) -> None:
        width = config.widths[0]
        stem = nn.Sequential(ConvBN(3, width // 2, 3, 2), nn.GELU(), ConvBN(width // 2, width, 3, 2))
        stages = [_stage(config, i, mixer, keep_resolution) for i in range(len(config.widths))]
        super().__init__(stem, *(block for stage in stages for block in stage))
        self.ends = tuple(accumulate([0, *(len(stage) for stage in stages)]))

    def forward_features(self, pixels: Tensor) -> list[Tensor]:
        """[N, 3, S, S] -> maps [stem, stage0, stage1, stage2, stage3] at strides 4, 4, 8, 16 and 32 (or 16)."""
        maps, x = [], pixels
        for i, block in enumerate(self):
            x = block(x)
            if i in self.ends:
                maps.append(x)
        return maps

    def ordered_blocks(self) -> list[nn.Module]:
        """See `samlet.nn.parts`; the stem is the first."""
        return list(self)


class RepViTEncoder(nn.Module):
    """An image encoder of one level: backbone at stride 16 and SAM's neck. [N, 3, S, S] -> [N, 256, S/16, S/16]."""

    def __init__(self, config: RepViTConfig, mixer: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.features = RepViT(config, mixer, keep_resolution=True)
        self.neck = SamNeck(config.widths[-1])

    def forward(self, pixels: Tensor) -> Tensor:
        return self.neck(self.features(pixels))


def _stage(
    config: RepViTConfig, i: int, mixer: Callable[[int], nn.Module], keep_resolution: bool
) -> list[nn.Sequential]:
    """The blocks of stage `i`: every other one squeezes, beginning with the first, but never the last."""
    width, depth = config.widths[i], config.depths[i]
    blocks = [RepViTBlock(width, mixer, squeeze=j % 2 == 0 and j < depth - 1) for j in range(depth)]
    if i == 0:
        return [*blocks]
    stride = 1 if keep_resolution and i == len(config.widths) - 1 else 2
    return [DownsamplingBlock(config.widths[i - 1], width, stride), *blocks]


@torch.no_grad()
def _sum_of_branches(three: nn.Conv2d, one: nn.Conv2d) -> nn.Conv2d:
    """A depthwise 3x3 convolution, changed in place, that also does what a 1x1 and the identity do: it is their sum."""
    three.weight += F.pad(one.weight, (1, 1, 1, 1))
    three.weight[:, :, 1, 1] += 1
    three.get_parameter("bias").add_(one.get_parameter("bias"))
    return three
