"""The blocks of MIT's EfficientViT: convolution units, inverted residuals and multi-scale linear attention.

Source: mit-han-lab/efficientvit `models/nn/ops.py`. Shared by the SAM, classification and segmentation families.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samlet.nn.layers import without_autocast

Activation = Callable[[], nn.Module]

# The official code adds this to sums that are never negative; as a lower bound it gives the same quotients. ONNX
# Runtime takes so small an addend for zero and drops it, which makes 0/0 of an all-zero query's 0/1e-15.
ATTENTION_EPS = 1e-15


def tanh_gelu() -> nn.Module:
    """The family's GELU is the tanh approximation; the erf form differs by 1e-3 of the output's std."""
    return nn.GELU(approximate="tanh")


class ConvLayer(nn.Sequential):
    """Conv (`conv`), optional batch norm (`norm`), optional activation (`act`). [N, Ci, H, W] -> [N, Co, H', W']."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
        norm: bool = True,
        act: Activation | None = None,
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=bias)
        self.add_module("conv", conv)
        if norm:
            self.add_module("norm", nn.BatchNorm2d(out_channels))
        if act is not None:
            self.add_module("act", act())


class DSConv(nn.Sequential):
    """Depthwise 3x3 with activation, then 1x1 without."""

    def __init__(self, in_channels: int, out_channels: int, act: Activation) -> None:
        super().__init__()
        self.add_module("depth_conv", ConvLayer(in_channels, in_channels, 3, groups=in_channels, act=act))
        self.add_module("point_conv", ConvLayer(in_channels, out_channels))


class MBConv(nn.Sequential):
    """1x1 expand, depthwise 3x3, 1x1 project. `fewer_norm`: a bias instead of the norm on all but the last."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, expand: float, act: Activation, fewer_norm: bool = False
    ) -> None:
        super().__init__()
        hidden = round(in_channels * expand)
        early = {"bias": fewer_norm, "norm": not fewer_norm, "act": act}
        self.add_module("inverted_conv", ConvLayer(in_channels, hidden, **early))
        self.add_module("depth_conv", ConvLayer(hidden, hidden, 3, stride, groups=hidden, **early))
        self.add_module("point_conv", ConvLayer(hidden, out_channels))


class FusedMBConv(nn.Sequential):
    """Dense 3x3 expand, 1x1 project."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, expand: float, act: Activation, fewer_norm: bool = False
    ) -> None:
        super().__init__()
        hidden = round(in_channels * expand)
        spatial = ConvLayer(in_channels, hidden, 3, stride, bias=fewer_norm, norm=not fewer_norm, act=act)
        self.add_module("spatial_conv", spatial)
        self.add_module("point_conv", ConvLayer(hidden, out_channels))


class ResBlock(nn.Sequential):
    """Two dense 3x3 convolutions; no activation after the second."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expand: float, act: Activation) -> None:
        super().__init__()
        hidden = round(in_channels * expand)
        self.add_module("conv1", ConvLayer(in_channels, hidden, 3, stride, act=act))
        self.add_module("conv2", ConvLayer(hidden, out_channels, 3))


class LiteMLA(nn.Module):
    """Multi-scale ReLU linear attention. [N, C, H, W] -> same.

    Queries, keys and values at the map's own scale and, through a depthwise convolution, at a coarser one; attention
    costs H*W, not its square. Source: EfficientViT (arXiv 2205.14756), `LiteMLA`.
    """

    def __init__(self, channels: int, head_dim: int, scale: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        heads = channels // head_dim
        width = 3 * heads * head_dim
        self.qkv = ConvLayer(channels, width, norm=False)
        depthwise = nn.Conv2d(width, width, scale, padding=scale // 2, groups=width, bias=False)
        pointwise = nn.Conv2d(width, width, 1, groups=3 * heads, bias=False)
        self.aggreg = nn.ModuleList([nn.Sequential(depthwise, pointwise)])
        self.proj = ConvLayer(2 * heads * head_dim, channels)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x)
        qkv = torch.cat([qkv, self.aggreg[0](qkv)], dim=1)
        n, _, height, width = qkv.shape
        heads = qkv.reshape(n, -1, 3 * self.head_dim, height * width)
        half = heads.dtype in (torch.float16, torch.bfloat16)
        with without_autocast(heads.device):
            out = self._attend(heads.float() if half else heads).to(heads.dtype)
        return self.proj(out.reshape(n, -1, height, width))

    def attention_projections(self) -> list[nn.Module]:
        """See `samlet.nn.parts`."""
        return [self.qkv.get_submodule("conv"), self.proj.get_submodule("conv")]

    def _attend(self, qkv: Tensor) -> Tensor:
        """qkv [N, heads, 3d, L] -> [N, heads, d, L]. Sums over positions overflow float16, hence float32 above."""
        q, k, v = qkv.split(self.head_dim, dim=2)
        q, k = F.relu(q), F.relu(k)
        # Both forms are equal; a graph for maps of any size has the one that suits nearly all of them.
        if torch.compiler.is_exporting() or q.shape[-1] > self.head_dim:
            out = (F.pad(v, (0, 0, 0, 1), value=1.0) @ k.transpose(-1, -2)) @ q
            out = out.float()
            return out[:, :, :-1] / out[:, :, -1:].clamp_min(ATTENTION_EPS)
        scores = (k.transpose(-1, -2) @ q).float()
        return v.float() @ (scores / scores.sum(dim=2, keepdim=True).clamp_min(ATTENTION_EPS))


class Residual(nn.Module):
    """x + main(x)."""

    def __init__(self, main: nn.Module) -> None:
        super().__init__()
        self.main = main

    def forward(self, x: Tensor) -> Tensor:
        return x + self.main(x)

    def residual_branch(self) -> nn.Module:
        """See `samlet.nn.parts`."""
        return self.main


class Plain(nn.Module):
    """main(x), under the name the official checkpoints give a block without a shortcut."""

    def __init__(self, main: nn.Module) -> None:
        super().__init__()
        self.main = main

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x)


class EfficientViTBlock(nn.Sequential):
    """Linear attention, then an inverted residual, each added to its input. [N, C, H, W] -> same."""

    def __init__(self, channels: int, head_dim: int, scale: int, expand: float, act: Activation) -> None:
        super().__init__()
        self.add_module("context_module", Residual(LiteMLA(channels, head_dim, scale)))
        self.add_module("local_module", Residual(MBConv(channels, channels, 1, expand, act, fewer_norm=True)))
