"""The blocks of Microsoft's EfficientViT: cascaded group attention in windows between depthwise and pointwise layers.

Source: arXiv 2305.07027; microsoft/Cream `EfficientViT/classification/model/efficientvit.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samlet.errors import ModelError
from samlet.nn.layers import ConvBN

WINDOW = 7  # cells; a map that is larger is attended to in such windows


class BNLinear(nn.Module):
    """Batch norm (`bn`), then linear (`l`): [N, Ci] -> [N, Co]."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(in_channels)
        self.l = nn.Linear(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.l(self.bn(x))

    def fused(self) -> nn.Linear:
        """One linear layer that computes what both do in eval mode."""
        variance, mean = self.bn.running_var, self.bn.running_mean
        if variance is None or mean is None:
            raise TypeError("a batch norm without statistics cannot be fused")
        scale = self.bn.weight / (variance + self.bn.eps).sqrt()
        linear = nn.Linear(self.l.in_features, self.l.out_features, device=scale.device, dtype=scale.dtype)
        with torch.no_grad():
            linear.weight.copy_(self.l.weight * scale)
            linear.bias.copy_(self.l.bias + self.l.weight @ (self.bn.bias - mean * scale))
        return linear.requires_grad_(self.l.weight.requires_grad)


class Residual(nn.Module):
    """x + m(x)."""

    def __init__(self, m: nn.Module) -> None:
        super().__init__()
        self.m = m

    def forward(self, x: Tensor) -> Tensor:
        return x + self.m(x)

    def residual_branch(self) -> nn.Module:
        """See `samlet.nn.parts`."""
        return self.m


class DepthwiseResidual(Residual):
    """x + depthwise 3x3 convolution (`m`) of x: [N, C, H, W] -> same."""

    m: ConvBN

    def __init__(self, channels: int) -> None:
        super().__init__(ConvBN(channels, channels, 3, groups=channels))

    def fused(self) -> nn.Conv2d:
        """One convolution that computes the sum: x is a kernel of one 1 in the middle."""
        conv = self.m.fused()
        with torch.no_grad():
            conv.weight[:, :, 1, 1] += 1
        return conv


class FFN(nn.Module):
    """1x1 convolution to `hidden` channels, ReLU, and back: [N, C, H, W] -> same."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.pw1 = ConvBN(channels, hidden)
        self.act = nn.ReLU()
        self.pw2 = ConvBN(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.pw2(self.act(self.pw1(x)))


class CascadedGroupAttention(nn.Module):
    """Attention whose heads see a part of the channels each, and what the head before made of its own.

    [N, C, R, R] -> same; a smaller map too. A bias of scores for each head and distance, |dy| and |dx|.
    """

    attention_bias_idxs: Tensor

    def __init__(self, channels: int, key_dim: int, kernels: tuple[int, ...], resolution: int) -> None:
        super().__init__()
        heads = len(kernels)
        self.key_dim, self.value_dim, self.resolution = key_dim, channels // heads, resolution
        width = 2 * key_dim + self.value_dim
        self.qkvs = nn.ModuleList([ConvBN(self.value_dim, width) for _ in kernels])
        self.dws = nn.ModuleList([ConvBN(key_dim, key_dim, kernel, groups=key_dim) for kernel in kernels])
        self.proj = nn.Sequential(nn.ReLU(), ConvBN(channels, channels))
        self.attention_biases = nn.Parameter(torch.zeros(heads, resolution**2))
        self.register_buffer("attention_bias_idxs", distances(resolution))

    def forward(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        if max(height, width) > self.resolution:
            raise ModelError(
                f"A map of {width}x{height} cells reached an attention made for {self.resolution}x{self.resolution}: "
                "build the network for images of this size."
            )
        indexes = self.attention_bias_idxs
        if (height, width) != (self.resolution, self.resolution):
            cells = indexes.reshape(*[self.resolution] * 4)[:height, :width, :height, :width]
            indexes = cells.reshape(height * width, height * width)
        biases = self.attention_biases[:, indexes]
        found: list[Tensor] = []
        for i, part in enumerate(x.chunk(len(self.qkvs), dim=1)):
            given = part if i == 0 else part + found[-1]
            q, k, v = self.qkvs[i](given).split([self.key_dim, self.key_dim, self.value_dim], dim=1)
            q = self.dws[i](q)
            scores = q.flatten(2).transpose(1, 2) @ k.flatten(2) * self.key_dim**-0.5 + biases[i]
            weights = scores.float().softmax(-1).to(v.dtype)
            found.append((v.flatten(2) @ weights.transpose(1, 2)).reshape(n, self.value_dim, height, width))
        return self.proj(torch.cat(found, dim=1))

    def attention_projections(self) -> list[nn.Module]:
        """See `samlet.nn.parts`."""
        convolutions = [unit.c if isinstance(unit, ConvBN) else unit for unit in [*self.qkvs, self.proj[1]]]
        return [*convolutions]

    def no_weight_decay(self) -> list[nn.Parameter]:
        """See `samlet.nn.parts`."""
        return [self.attention_biases]


class LocalWindowAttention(nn.Module):
    """`CascadedGroupAttention` in windows of 7 x 7 cells, or on the whole of a map that is no larger.

    [N, C, H, W] -> same. Maps are padded with zeros below and on the right to whole windows; no mask hides the padding.
    """

    def __init__(self, channels: int, key_dim: int, kernels: tuple[int, ...], resolution: int) -> None:
        super().__init__()
        self.attn = CascadedGroupAttention(channels, key_dim, kernels, min(WINDOW, resolution))

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        if height <= WINDOW and width <= WINDOW:
            return self.attn(x)
        x = F.pad(x, (0, -width % WINDOW, 0, -height % WINDOW))
        rows, columns = x.shape[2] // WINDOW, x.shape[3] // WINDOW
        windows = x.reshape(n, channels, rows, WINDOW, columns, WINDOW).permute(0, 2, 4, 1, 3, 5)
        windows = self.attn(windows.reshape(-1, channels, WINDOW, WINDOW))
        windows = windows.reshape(n, rows, columns, channels, WINDOW, WINDOW).permute(0, 3, 1, 4, 2, 5)
        return windows.reshape(n, channels, rows * WINDOW, columns * WINDOW)[:, :, :height, :width]


MakeFFN = Callable[[int], nn.Module]  # of channels


def plain_ffn(channels: int) -> FFN:
    """The FFN of the paper, twice as wide inside."""
    return FFN(channels, 2 * channels)


class Block(nn.Sequential):
    """The sandwich: depthwise, FFN, attention, depthwise, FFN, each added to its input. [N, C, H, W] -> same."""

    def __init__(
        self, channels: int, key_dim: int, kernels: tuple[int, ...], resolution: int, ffn: MakeFFN = plain_ffn
    ) -> None:
        super().__init__()
        self.add_module("dw0", DepthwiseResidual(channels))
        self.add_module("ffn0", Residual(ffn(channels)))
        self.add_module("mixer", Residual(LocalWindowAttention(channels, key_dim, kernels, resolution)))
        self.add_module("dw1", DepthwiseResidual(channels))
        self.add_module("ffn1", Residual(ffn(channels)))


class SqueezeExcite(nn.Module):
    """Channels weighed by what their means say: [N, C, H, W] -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = max(8, (channels // 4 + 4) // 8 * 8)
        self.fc1 = nn.Conv2d(channels, reduced, 1)
        self.fc2 = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))).sigmoid()


class PatchMerging(nn.Module):
    """Half the resolution: [N, Ci, H, W] -> [N, Co, (H + 1) // 2, (W + 1) // 2]."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        hidden = 4 * in_channels
        self.conv1 = ConvBN(in_channels, hidden)
        self.conv2 = ConvBN(hidden, hidden, 3, 2, groups=hidden)
        self.se = SqueezeExcite(hidden)
        self.conv3 = ConvBN(hidden, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(self.se(F.relu(self.conv2(F.relu(self.conv1(x))))))


@lru_cache
def _numbers(resolution: int) -> tuple[tuple[int, ...], ...]:
    cells = list(product(range(resolution), repeat=2))
    return tuple(tuple(abs(a - c) * resolution + abs(b - d) for c, d in cells) for a, b in cells)


def distances(resolution: int) -> Tensor:
    """The entry of the bias table for each pair of cells of a map, int64 [R * R, R * R]."""
    return torch.tensor(_numbers(resolution), dtype=torch.int64)
