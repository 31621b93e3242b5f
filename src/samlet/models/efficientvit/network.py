"""EfficientViT (MIT): backbones, the B series for small devices, L and XL for GPUs, and the classifiers made of them.

Source: mit-han-lab/efficientvit `models/efficientvit/backbone.py`; XL and L0 from its SAM variants.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from torch import Tensor, nn

from samlet.models.efficientvit.blocks import (
    ConvLayer,
    DSConv,
    EfficientViTBlock,
    FusedMBConv,
    MBConv,
    Plain,
    ResBlock,
    Residual,
    tanh_gelu,
)
from samlet.models.efficientvit.heads import classification_head, with_zoo_eps
from samlet.nn.layers import OpSequential
from samlet.nn.network import BackboneMaps, LogitsNetwork
from samlet.spec import ModelSpec


@dataclass(frozen=True)
class BSeries:
    """Widths and depths of stem and stages 1 to 4; stages 3 and 4 attend with heads of `head_dim` channels."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    head_dim: int


@dataclass(frozen=True)
class LSeries:
    """Per stage: width, depth (blocks after the downsampling one), block kind, expansion, fewer norms."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    blocks: tuple[str, ...]
    expands: tuple[float, ...]
    fewer_norm: tuple[bool, ...]
    scale: int
    head_dim: int = 32


def _l(depths: tuple[int, ...]) -> LSeries:
    return LSeries(
        widths=(32, 64, 128, 256, 512),
        depths=depths,
        blocks=("res", "fmb", "fmb", "mb", "att"),
        expands=(1, 4, 4, 4, 6),
        fewer_norm=(False, False, False, True, True),
        scale=5,
    )


def _xl(depths: tuple[int, ...]) -> LSeries:
    return LSeries(
        widths=(32, 64, 128, 256, 512, 1024),
        depths=depths,
        blocks=("res", "fmb", "fmb", "fmb", "att", "att"),
        expands=(1, 4, 4, 4, 4, 6),
        fewer_norm=(False, False, False, False, True, True),
        scale=3,
    )


BACKBONES: dict[str, BSeries | LSeries] = {
    "b0": BSeries((8, 16, 32, 64, 128), (1, 2, 2, 2, 2), head_dim=16),
    "b1": BSeries((16, 32, 64, 128, 256), (1, 2, 3, 3, 4), head_dim=16),
    "b2": BSeries((24, 48, 96, 192, 384), (1, 3, 4, 4, 6), head_dim=32),
    "b3": BSeries((32, 64, 128, 256, 512), (1, 4, 6, 6, 9), head_dim=32),
    "l0": _l((1, 1, 1, 4, 4)),
    "l1": _l((1, 1, 1, 6, 6)),
    "l2": _l((1, 2, 2, 8, 8)),
    "l3": replace(_l((1, 2, 2, 8, 8)), widths=(64, 128, 256, 512, 1024)),
    "xl0": _xl((0, 1, 1, 2, 3, 3)),
    "xl1": _xl((1, 2, 2, 4, 6, 6)),
}


class EfficientViTB(nn.Module):
    """[N, 3, S, S] -> maps of stages 0 (the stem) to 4, at strides 2 to 32."""

    def __init__(self, config: BSeries) -> None:
        super().__init__()
        self.widths = config.widths
        stem = config.widths[0]
        self.input_stem = OpSequential(
            [ConvLayer(3, stem, 3, 2, act=nn.Hardswish)]
            + [Residual(DSConv(stem, stem, nn.Hardswish)) for _ in range(config.depths[0])]
        )
        self.stages = nn.ModuleList([self._stage(config, i) for i in range(1, len(config.widths))])

    def forward(self, pixels: Tensor) -> list[Tensor]:
        maps = [self.input_stem(pixels)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps

    def ordered_blocks(self) -> list[nn.Module]:
        """See `samlet.nn.parts`."""
        return _blocks([self.input_stem, *self.stages])

    @staticmethod
    def _stage(config: BSeries, i: int) -> OpSequential:
        before, width, depth, act = config.widths[i - 1], config.widths[i], config.depths[i], nn.Hardswish
        if i <= 2:
            down: nn.Module = Plain(MBConv(before, width, 2, 4, act))
            return OpSequential([down, *(Residual(MBConv(width, width, 1, 4, act)) for _ in range(depth - 1))])
        down = Plain(MBConv(before, width, 2, 4, act, fewer_norm=True))
        blocks = [EfficientViTBlock(width, config.head_dim, 5, 4, act) for _ in range(depth)]
        return OpSequential([down, *blocks])


class EfficientViTL(nn.Module):
    """[N, 3, S, S] -> maps of stages 0 (the stem) to 4 (L) or 5 (XL), at strides 2, 4, 8 and so on."""

    def __init__(self, config: LSeries) -> None:
        super().__init__()
        self.widths = config.widths
        self.stages = nn.ModuleList([self._stage(config, i) for i in range(len(config.widths))])

    def forward(self, pixels: Tensor) -> list[Tensor]:
        maps = [self.stages[0](pixels)]
        for stage in self.stages[1:]:
            maps.append(stage(maps[-1]))
        return maps

    def ordered_blocks(self) -> list[nn.Module]:
        """See `samlet.nn.parts`."""
        return _blocks(self.stages)

    @classmethod
    def _stage(cls, config: LSeries, i: int) -> OpSequential:
        first = ConvLayer(3, config.widths[0], 3, 2, act=tanh_gelu) if i == 0 else Plain(cls._down(config, i))
        return OpSequential([first, *(cls._block(config, i) for _ in range(config.depths[i]))])

    @staticmethod
    def _down(config: LSeries, i: int) -> nn.Module:
        """The strided block expands four times more than the others; attention stages begin with an MBConv."""
        kind = FusedMBConv if config.blocks[i] == "fmb" else MBConv
        expand = 4 * config.expands[i]
        return kind(config.widths[i - 1], config.widths[i], 2, expand, tanh_gelu, config.fewer_norm[i])

    @staticmethod
    def _block(config: LSeries, i: int) -> nn.Module:
        width, expand, fewer_norm = config.widths[i], config.expands[i], config.fewer_norm[i]
        match config.blocks[i]:
            case "res":
                return Residual(ResBlock(width, width, 1, expand, tanh_gelu))
            case "fmb":
                return Residual(FusedMBConv(width, width, 1, expand, tanh_gelu, fewer_norm))
            case "mb":
                return Residual(MBConv(width, width, 1, expand, tanh_gelu, fewer_norm))
            case "att":
                return EfficientViTBlock(width, config.head_dim, config.scale, expand, tanh_gelu)
            case kind:
                raise ValueError(f"unknown block kind {kind!r}")


def build_backbone(name: str) -> EfficientViTB | EfficientViTL:
    """One of `BACKBONES`, with random weights."""
    config = BACKBONES[name]
    return EfficientViTB(config) if isinstance(config, BSeries) else EfficientViTL(config)


class EfficientViTClassifier(LogitsNetwork):
    """A backbone and its classification head: [N, 3, S, S] -> logits [N, classes]."""

    def __init__(self, spec: ModelSpec, size: str, classes: int) -> None:
        super().__init__(spec)
        self.backbone = build_backbone(size)
        self.head = classification_head(size, self.backbone.widths[-1], classes)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.backbone(pixels)[-1])

    def backbone_maps(self) -> BackboneMaps:
        """See `LogitsNetwork`."""
        channels = list(self.backbone.widths)
        return BackboneMaps(self.backbone, channels, [2 << i for i in range(len(channels))])


def build(spec: ModelSpec, size: str, classes: int) -> EfficientViTClassifier:
    """The classifier on one of `BACKBONES` with random weights, and the norm eps the official zoo sets."""
    return with_zoo_eps(EfficientViTClassifier(spec, size, classes), size)


def _blocks(stages: Iterable[nn.Module]) -> list[nn.Module]:
    return [block for stage in stages for block in stage.get_submodule("op_list").children()]
