"""Small layers with the official parameter names: channel norm, conv + batch norm, SAM's neck and its grid."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from samlet.geometry.label_logits import bicubic_weights

GRID = 64  # cells along a side of SAM's image embedding


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention of q [..., Nq, D] on k and v [..., Nk, D] with a bias [..., Nq, Nk] of the scores -> [..., Nq, D].

    Fused kernels take softmax and sums in float32, whatever q is; exported graphs have no such kernel, and so compute
    half precision in float32.
    """
    if torch.compiler.is_exporting() and q.dtype in (torch.float16, torch.bfloat16):
        out = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=bias.float())
        return out.to(q.dtype)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of [N, C, H, W] at every position (biased variance, eps inside the root).

    A subclass of `nn.LayerNorm`, so that code which sets a family's norm eps finds it.
    Source: `LayerNorm2d` of segment_anything, `ln2d` of EfficientViT.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__(channels, eps=eps)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name nn.LayerNorm gives it
        x = F.layer_norm(input.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class ConvBN(nn.Sequential):
    """Convolution without bias (`c`) and batch norm (`bn`), the unit of TinyViT: [N, Ci, H, W] -> [N, Co, H', W']."""

    c: nn.Conv2d
    bn: nn.BatchNorm2d

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.add_module(
            "c", nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        )
        self.add_module("bn", nn.BatchNorm2d(out_channels))

    def fused(self) -> nn.Conv2d:
        """One convolution with a bias that computes what this unit does in eval mode."""
        return fuse_conv_bn_eval(self.c, self.bn)


class SamNeck(nn.Sequential):
    """The neck of SAM's image encoder: 1x1 conv, norm, 3x3 conv, norm. [N, C, 64, 64] -> [N, 256, 64, 64]."""

    def __init__(self, in_channels: int, out_channels: int = 256) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            LayerNorm2d(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            LayerNorm2d(out_channels),
        )


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """A block in which types are as written; where no autocast is on, no context at all, so that exporters see none."""
    on = torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)
    return torch.autocast(device.type, enabled=False) if on else nullcontext()


class ToGrid(nn.Module):
    """`resize_bicubic` to `grid` x `grid` cells."""

    def __init__(self, grid: int = GRID) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        return resize_bicubic(x, (self.grid, self.grid))


def resize_bicubic(x: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Maps [N, C, H, W] at another size, bicubic, in float32; those that have it already pass untouched.

    Where gradients are wanted it is two matrix products: torch's own resize took a quarter of a training step.
    """
    if x.shape[-2:] == size_hw:
        return x
    if x.requires_grad:
        rows, columns = (
            torch.as_tensor(bicubic_weights(side, to), device=x.device)
            for side, to in zip(x.shape[-2:], size_hw, strict=True)
        )
        with without_autocast(x.device):
            return (rows @ x.float() @ columns.T).to(x.dtype)
    return F.interpolate(x.float(), size=size_hw, mode="bicubic", align_corners=False).to(x.dtype)


def upsample_bicubic(x: Tensor, factor: int) -> Tensor:
    """Maps [N, C, H, W] enlarged by a whole factor, in float32: what `resize_bicubic` gives, as one convolution.

    Every cell becomes factor x factor pixels, each a fixed sum of the cells around it. A graph of it takes maps of any
    size and has no Resize, which ONNX Runtime computes value by value.
    """
    n, channels, height, width = x.shape
    middle = 5 * factor  # of eleven cells, far from both ends
    phases = torch.as_tensor(bicubic_weights(11, 11 * factor)[middle : middle + factor, 3:8])
    kernels = (phases[:, None, :, None] * phases[None, :, None, :]).reshape(factor**2, 1, 5, 5)
    cells = F.pad(x.float().reshape(n * channels, 1, height, width), (2, 2, 2, 2), mode="replicate")
    enlarged = F.pixel_shuffle(F.conv2d(cells, kernels.to(x.device)), factor)
    return enlarged.reshape(n, channels, height * factor, width * factor).to(x.dtype)


class OpSequential(nn.Module):
    """Runs a list; only the name `op_list` matters."""

    def __init__(self, ops: Sequence[nn.Module]) -> None:
        super().__init__()
        self.op_list = nn.ModuleList(ops)

    def forward(self, x: Tensor) -> Tensor:
        for op in self.op_list:
            x = op(x)
        return x
