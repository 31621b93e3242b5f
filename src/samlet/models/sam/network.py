"""SAM's own image encoders, ViT-B/L/H: windowed attention with a few global blocks.

Source: segment_anything `modeling/image_encoder.py` (after ViTDet). Maps are [N, H, W, C] until the neck.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samlet.nn.layers import SamNeck, attend
from samlet.nn.sam import Sam
from samlet.spec import ModelSpec

PATCH = 16
WINDOW = 14
NORM_EPS = 1e-6


@dataclass(frozen=True)
class VitConfig:
    """Width, depth and heads; the blocks numbered in `global_blocks` attend to the whole map."""

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]


SIZES = {
    "b": VitConfig(768, 12, 12, (2, 5, 8, 11)),
    "l": VitConfig(1024, 24, 16, (5, 11, 17, 23)),
    "h": VitConfig(1280, 32, 16, (7, 15, 23, 31)),
}


class PatchEmbed(nn.Module):
    """Non-overlapping patches: [N, 3, S, S] -> [N, S/16, S/16, C]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.proj(pixels).permute(0, 2, 3, 1)


class Attention(nn.Module):
    """Attention over a side x side map with decomposed relative positions. [B, side, side, C] -> same."""

    def __init__(self, width: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads, self.side = heads, side
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, width // heads))

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).flatten(1, 2).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        out = attend(q, k, v, self._position_bias(q))
        return self.proj(out.transpose(1, 2).flatten(2).unflatten(1, x.shape[1:3]))

    def attention_projections(self) -> list[nn.Linear]:
        """See `samlet.nn.parts`."""
        return [self.qkv, self.proj]

    def _position_bias(self, q: Tensor) -> Tensor:
        """Unscaled q [B, heads, L, d] times the vectors of dy and of dx, summed: [B, heads, L, L] with L = side^2.

        The one large tensor here, 1.07 GB an image in a global block of ViT-H; fused attention makes no other.
        """
        index = torch.arange(self.side, device=q.device)
        offsets = index[:, None] - index[None, :] + self.side - 1
        grid = q.unflatten(2, (self.side, self.side))
        rows = torch.einsum("bnyxd,ykd->bnyxk", grid, self.rel_pos_h[offsets].to(q.dtype))
        columns = torch.einsum("bnyxd,xkd->bnyxk", grid, self.rel_pos_w[offsets].to(q.dtype))
        return (rows[..., :, None] + columns[..., None, :]).flatten(4, 5).flatten(2, 3)


class Mlp(nn.Module):
    """Linear, GELU, Linear with expansion 4. [..., C] -> same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, 4 * width)
        self.lin2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(F.gelu(self.lin1(x)))


class Block(nn.Module):
    """Pre-norm attention, in windows or (`window` None) over the whole map, and MLP. [N, H, W, C] -> same."""

    def __init__(self, width: int, heads: int, grid: int, window: int | None) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = Attention(width, heads, window or grid)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + (self.attn(y) if self.window is None else self._attend_in_windows(y, self.window))
        return x + self.mlp(self.norm2(x))

    def _attend_in_windows(self, x: Tensor, side: int) -> Tensor:
        """The padding comes after the norm, as zeros, and takes part unmasked, as in the official code."""
        n, height, width, channels = x.shape
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        rows, columns = x.shape[1] // side, x.shape[2] // side
        windows = x.reshape(n, rows, side, columns, side, channels).transpose(2, 3)
        windows = self.attn(windows.reshape(-1, side, side, channels))
        x = windows.reshape(n, rows, columns, side, side, channels).transpose(2, 3)
        return x.reshape(n, rows * side, columns * side, channels)[:, :height, :width]


class ViT(nn.Module):
    """The image encoder: [N, 3, canvas, canvas] -> [N, 256, canvas/16, canvas/16]; each block gives [N, H, W, C]."""

    def __init__(self, config: VitConfig, canvas: int) -> None:
        super().__init__()
        grid = canvas // PATCH
        self.patch_embed = PatchEmbed(config.width)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, config.width))
        self.blocks = nn.ModuleList(
            [
                Block(config.width, config.heads, grid, None if i in config.global_blocks else WINDOW)
                for i in range(config.depth)
            ]
        )
        self.neck = SamNeck(config.width)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.patch_embed(pixels) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.neck(x.permute(0, 3, 1, 2))

    def ordered_blocks(self) -> list[nn.Module]:
        """See `samlet.nn.parts`."""
        return list(self.blocks)


def build(spec: ModelSpec, size: str) -> Sam:
    """SAM with one of the encoders `SIZES`, with random weights."""
    return Sam(spec, ViT(SIZES[size], spec.image.canvas))
