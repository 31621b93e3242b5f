"""EfficientViT-M: three stages of cascaded group attention at strides 16, 32 and 64, and a linear head.

Source: arXiv 2305.07027; microsoft/Cream `EfficientViT/classification/model`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from samlet.errors import ModelError
from samlet.models.efficientvit_m.blocks import (
    FFN,
    Block,
    BNLinear,
    DepthwiseResidual,
    MakeFFN,
    PatchMerging,
    Residual,
    plain_ffn,
)
from samlet.models.efficientvit_m.files import adapted
from samlet.nn.layers import ConvBN
from samlet.nn.network import BackboneMaps, LogitsNetwork
from samlet.spec import ModelSpec

KEY_DIM = 16


@dataclass(frozen=True)
class MSize:
    """Per stage: channels, blocks, heads; `kernels` are those of its heads' queries, the first ones of the list."""

    channels: tuple[int, int, int]
    depths: tuple[int, int, int]
    heads: tuple[int, int, int]
    kernels: tuple[int, int, int, int]


SIZES: dict[str, MSize] = {
    "m0": MSize((64, 128, 192), (1, 2, 3), (4, 4, 4), (5, 5, 5, 5)),
    "m1": MSize((128, 144, 192), (1, 2, 3), (2, 3, 3), (7, 5, 3, 3)),
    "m2": MSize((128, 192, 224), (1, 2, 3), (4, 3, 2), (7, 5, 3, 3)),
    "m3": MSize((128, 240, 320), (1, 2, 3), (4, 3, 4), (5, 5, 5, 5)),
    "m4": MSize((128, 256, 384), (1, 2, 3), (4, 4, 4), (7, 5, 3, 3)),
    "m5": MSize((192, 288, 384), (1, 3, 4), (3, 3, 4), (7, 5, 3, 3)),
}


class EfficientViTM(LogitsNetwork):
    """[N, 3, S, S] -> logits [N, classes]. Bias tables are made for images of the spec's canvas.

    `distilled`: a second head, `head_dist`; the answer is the mean of both, in training mode the pair. `patch_stride`:
    pixels between neighboring cells of the first stage: 16, or 8, 4 or 2 for images smaller than ImageNet's.
    """

    def __init__(
        self,
        spec: ModelSpec,
        size: MSize,
        classes: int,
        distilled: bool = False,
        ffn: MakeFFN = plain_ffn,
        patch_stride: int = 16,
    ) -> None:
        super().__init__(spec)
        self.size = size
        first = size.channels[0]
        strides = _strides(patch_stride)
        self.patch_embed = _patch_embed(first, strides)
        resolution = spec.image.canvas
        for stride in strides:
            resolution = (resolution - 1) // stride + 1
        self.blocks1 = nn.Sequential(*_blocks(size, 0, resolution, ffn))
        resolution = (resolution - 1) // 2 + 1
        self.blocks2 = nn.Sequential(*_downsample(size, 1), *_blocks(size, 1, resolution, ffn))
        resolution = (resolution - 1) // 2 + 1
        self.blocks3 = nn.Sequential(*_downsample(size, 2), *_blocks(size, 2, resolution, ffn))
        self.head = BNLinear(size.channels[-1], classes)
        self.head_dist = BNLinear(size.channels[-1], classes) if distilled else None

    def forward(self, pixels: Tensor) -> Tensor:
        pooled = self.maps(pixels)[-1].mean((2, 3))
        if self.head_dist is None:
            return self.head(pooled)
        heads = self.head(pooled), self.head_dist(pooled)
        return heads if self.training else (heads[0] + heads[1]) / 2  # type: ignore[return-value]

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """The maps of the three stages, at strides 16, 32 and 64."""
        return _maps(self, pixels)

    def backbone_maps(self) -> BackboneMaps:
        """See `LogitsNetwork`."""
        return BackboneMaps(MBackbone(self), list(self.size.channels), [16, 32, 64])

    def ordered_blocks(self) -> list[nn.Module]:
        """See `samlet.nn.parts`."""
        return MBackbone(self).ordered_blocks()

    def adapted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `samlet.models.efficientvit_m.files`."""
        return adapted(self, state)


class MBackbone(nn.Module):
    """The network without its heads: [N, 3, S, S] -> maps of the three stages, at strides 16, 32 and 64."""

    def __init__(self, network: EfficientViTM) -> None:
        super().__init__()
        self.patch_embed = network.patch_embed
        self.blocks1, self.blocks2, self.blocks3 = network.blocks1, network.blocks2, network.blocks3

    def forward(self, pixels: Tensor) -> list[Tensor]:
        return _maps(self, pixels)

    def ordered_blocks(self) -> list[nn.Module]:
        """See `samlet.nn.parts`."""
        embedding = [unit for unit in self.patch_embed if isinstance(unit, ConvBN)]
        return [*embedding, *self.blocks1, *self.blocks2, *self.blocks3]


def build(spec: ModelSpec, size: str, classes: int, distilled: bool = False, patch_stride: int = 16) -> EfficientViTM:
    """One of `SIZES` with random weights, whose residual branches begin at zero as in the official code."""
    return started_at_zero(EfficientViTM(spec, SIZES[size], classes, distilled, patch_stride=patch_stride))


def started_at_zero(network: EfficientViTM) -> EfficientViTM:
    """The network with the batch norm at the end of every branch in a block at 0, that of downsampling's excepted."""
    for block in network.modules():
        if isinstance(block, Block):
            for name, norm in block.named_modules():
                if name.endswith((".m.bn", "pw2.bn", "attn.proj.1.bn")) and isinstance(norm, nn.BatchNorm2d):
                    nn.init.zeros_(norm.weight)
        elif isinstance(block, FFN):
            nn.init.zeros_(block.pw2.bn.weight)
        elif isinstance(block, BNLinear):
            nn.init.trunc_normal_(block.l.weight, std=0.02)
            nn.init.zeros_(block.l.bias)
    return network


def _strides(patch_stride: int) -> list[int]:
    """Strides of the four convolutions that begin the network; ModelError if they cannot make that one."""
    if patch_stride not in (2, 4, 8, 16):
        raise ModelError(f"patch_stride is {patch_stride}: use 2, 4, 8 or 16.")
    return [2 if patch_stride >= 2**i else 1 for i in range(1, 5)]


def _maps(network: EfficientViTM | MBackbone, pixels: Tensor) -> list[Tensor]:
    first = network.blocks1(network.patch_embed(pixels))
    second = network.blocks2(first)
    return [first, second, network.blocks3(second)]


def _patch_embed(channels: int, strides: Sequence[int]) -> nn.Sequential:
    widths = [3, channels // 8, channels // 4, channels // 2, channels]
    units: list[nn.Module] = []
    for (before, after), stride in zip(pairwise(widths), strides, strict=True):
        units += [ConvBN(before, after, 3, stride), nn.ReLU()]
    return nn.Sequential(*units[:-1])


def _blocks(size: MSize, stage: int, resolution: int, ffn: MakeFFN) -> list[nn.Module]:
    kernels = size.kernels[: size.heads[stage]]
    return [Block(size.channels[stage], KEY_DIM, kernels, resolution, ffn) for _ in range(size.depths[stage])]


def _downsample(size: MSize, stage: int) -> list[nn.Module]:
    before, after = size.channels[stage - 1], size.channels[stage]
    return [_sandwich(before), PatchMerging(before, after), _sandwich(after)]


def _sandwich(channels: int) -> nn.Sequential:
    return nn.Sequential(DepthwiseResidual(channels), Residual(plain_ffn(channels)))
