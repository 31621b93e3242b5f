"""MobileSAM: a TinyViT-5M image encoder whose last downsampling keeps the resolution.

Source: ChaoningZhang/MobileSAM `tiny_vit_sam.py`. The official code caches the attention biases when `eval()` is
called and so can run with stale ones; here they are read from the parameter in every forward pass.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samlet.nn.layers import ConvBN, SamNeck, attend
from samlet.nn.sam import Sam
from samlet.spec import ModelSpec

WIDTHS = (64, 128, 160, 320)
DEPTHS = (2, 2, 6, 2)
HEADS = (2, 4, 5, 10)
WINDOWS = (7, 7, 14, 7)
HEAD_DIM = 32
EXPANSION = 4
# The classifier TinyViT was trained as: in official checkpoints, in no forward pass.
UNUSED = ("image_encoder.norm_head.", "image_encoder.head.")


class PatchEmbed(nn.Module):
    """Two strided convolutions: [N, 3, S, S] -> [N, 64, S/4, S/4]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvBN(3, channels // 2, 3, stride=2), nn.GELU(), ConvBN(channels // 2, channels, 3, stride=2)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.seq(x)


class MBConv(nn.Module):
    """Inverted residual, expansion 4 or `hidden` channels, the last GELU after the addition. [N, C, H, W] -> same."""

    def __init__(self, channels: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or EXPANSION * channels
        self.conv1 = ConvBN(channels, hidden)
        self.conv2 = ConvBN(hidden, hidden, 3, groups=hidden)
        self.conv3 = ConvBN(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.conv2(F.gelu(self.conv1(x))))
        return F.gelu(x + self.conv3(y))


class PatchMerging(nn.Module):
    """Changes width and, but for the last stage, halves the map. [N, C, H, W] -> [N, D, H/stride, W/stride]."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvBN(in_channels, out_channels)
        self.conv2 = ConvBN(out_channels, out_channels, 3, stride=stride, groups=out_channels)
        self.conv3 = ConvBN(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


def bias_index(window: int) -> tuple[Tensor, int]:
    """Per pair of window positions the number of its (|dy|, |dx|), in first-seen order: [window^2, window^2], count."""
    positions = list(itertools.product(range(window), repeat=2))
    numbers: dict[tuple[int, int], int] = {}
    index = [
        numbers.setdefault((abs(a[0] - b[0]), abs(a[1] - b[1])), len(numbers)) for a in positions for b in positions
    ]
    return torch.tensor(index).reshape(window**2, window**2), len(numbers)


class WindowAttention(nn.Module):
    """Pre-norm attention inside windows with a learned bias per offset. [B, window^2, C] -> same."""

    bias_index: Tensor

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * heads * HEAD_DIM)
        self.proj = nn.Linear(heads * HEAD_DIM, channels)
        index, offsets = bias_index(window)
        self.attention_biases = nn.Parameter(torch.zeros(heads, offsets))
        self.register_buffer("bias_index", index, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (self.heads, 3, HEAD_DIM)).permute(3, 0, 2, 1, 4)
        out = attend(q, k, v, self.attention_biases[:, self.bias_index][None])
        return self.proj(out.transpose(1, 2).flatten(2))

    def attention_projections(self) -> list[nn.Linear]:
        """See `samlet.nn.parts`."""
        return [self.qkv, self.proj]

    def no_weight_decay(self) -> list[nn.Parameter]:
        """The table of relative positions; source: TinyViT."""
        return [self.attention_biases]


class Mlp(nn.Module):
    """Pre-norm MLP, expansion 4 or `hidden` units. [B, L, C] -> same."""

    def __init__(self, channels: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or EXPANSION * channels
        self.norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class TinyViTBlock(nn.Module):
    """Window attention, a depthwise convolution, an MLP. [N, H, W, C] -> same."""

    def __init__(self, channels: int, heads: int, window: int, hidden: int | None = None) -> None:
        super().__init__()
        self.window = window
        self.attn = WindowAttention(channels, heads, window)
        self.local_conv = ConvBN(channels, channels, 3, groups=channels)
        self.mlp = Mlp(channels, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attend(x)
        x = self.local_conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return x + self.mlp(x)

    def _attend(self, x: Tensor) -> Tensor:
        """Attention per window; the padding comes before the norm and takes part unmasked, as in the official code."""
        n, height, width, channels = x.shape
        side = self.window
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        rows, columns = x.shape[1] // side, x.shape[2] // side
        x = x.reshape(n, rows, side, columns, side, channels).transpose(2, 3)
        x = self.attn(x.reshape(-1, side * side, channels))
        x = x.reshape(n, rows, columns, side, side, channels).transpose(2, 3)
        return x.reshape(n, rows * side, columns * side, channels)[:, :height, :width]


class Stage(nn.Module):
    """Blocks and, but for the last stage, a `PatchMerging`. [N, C, H, W] -> [N, D, H', W']."""

    def __init__(self, blocks: list[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        x = self.run_blocks(x)
        return x if self.downsample is None else self.downsample(x)

    def run_blocks(self, x: Tensor) -> Tensor:
        """The map before the downsampling. [N, C, H, W] -> same."""
        for block in self.blocks:
            channels_last = isinstance(block, TinyViTBlock)
            x = block(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if channels_last else block(x)
        return x


def make_stage(i: int, hidden: int | None = None) -> Stage:
    """Stage `i` of TinyViT-5M; `hidden` units in each of its blocks instead of four times its width."""
    if i == 0:
        blocks: list[nn.Module] = [MBConv(WIDTHS[0], hidden) for _ in range(DEPTHS[0])]
    else:
        blocks = [TinyViTBlock(WIDTHS[i], HEADS[i], WINDOWS[i], hidden) for _ in range(DEPTHS[i])]
    if i == len(WIDTHS) - 1:
        return Stage(blocks, None)
    return Stage(blocks, PatchMerging(WIDTHS[i], WIDTHS[i + 1], stride=1 if i == len(WIDTHS) - 2 else 2))


class TinyViT(nn.Module):
    """The image encoder: [N, 3, 1024, 1024] -> [N, 256, 64, 64].

    `norm_head` and `head` belong to the classifier it was trained as; no forward pass uses them, but official
    checkpoints hold them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(WIDTHS[0])
        self.layers = nn.ModuleList([make_stage(i) for i in range(len(WIDTHS))])
        self.norm_head = nn.LayerNorm(WIDTHS[-1])
        self.head = nn.Linear(WIDTHS[-1], 1000)
        self.neck = SamNeck(WIDTHS[-1])

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.patch_embed(pixels)
        for stage in self.layers:
            x = stage(x)
        return self.neck(x)

    def ordered_blocks(self) -> list[nn.Module]:
        """See `samlet.nn.parts`."""
        return [block for stage in self.layers for block in stage.get_submodule("blocks").children()]


def build(spec: ModelSpec) -> Sam:
    """MobileSAM with random weights."""
    return Sam(spec, TinyViT(), UNUSED)
