"""EfficientViT's heads: the classifier's, on the last stage, and the segmenter's, on the last three.

Source: mit-han-lab/efficientvit `models/efficientvit/cls.py`, `seg.py` and their zoos, which set the norms' eps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from samlet.models.efficientvit.blocks import Activation, ConvLayer, FusedMBConv, MBConv, Residual, tanh_gelu
from samlet.nn.layers import OpSequential, resize_bicubic, upsample_bicubic

CLASSIFIER_WIDTHS: dict[str, tuple[int, int]] = {
    "b0": (1024, 1280),
    "b1": (1536, 1600),
    "b2": (2304, 2560),
    "b3": (2304, 2560),
    "l1": (3072, 3200),
    "l2": (3072, 3200),
    "l3": (6144, 6400),
}
L_EPS = 1e-7  # of all norms of the L series; the B series has torch's 1e-5

AnyModule = TypeVar("AnyModule", bound=nn.Module)


@dataclass(frozen=True)
class SegConfig:
    """Width, and depth and expansion of the middle; `final`: expansion before the classes, None for none."""

    width: int
    depth: int
    expand: float
    final: float | None


class LinearLayer(nn.Sequential):
    """Linear (`linear`), then a layer norm (`norm`) and an activation or, for classes, a bias. [N, Ci] -> [N, Co]."""

    def __init__(self, in_channels: int, out_channels: int, act: Activation | None = None) -> None:
        super().__init__()
        self.add_module("linear", nn.Linear(in_channels, out_channels, bias=act is None))
        if act is not None:
            self.add_module("norm", nn.LayerNorm(out_channels))
            self.add_module("act", act())


class Pool(nn.Module):
    """Mean of a map: [N, C, H, W] -> [N, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class SegHead(nn.Module):
    """Maps of stages 4, 3 and 2 -> logits [N, classes, H, W] on the grid of stage 2, at stride 8."""

    def __init__(self, in_channels: tuple[int, ...], config: SegConfig, fused: bool, classes: int) -> None:
        super().__init__()
        width, (block, act) = config.width, (FusedMBConv, tanh_gelu) if fused else (MBConv, nn.Hardswish)
        coarse = [OpSequential([ConvLayer(channels, width)]) for channels in in_channels[:2]]
        self.input_ops = nn.ModuleList([*coarse, ConvLayer(in_channels[2], width)])
        self.middle = OpSequential(
            [Residual(block(width, width, 1, config.expand, act)) for _ in range(config.depth)],
        )
        last = width if config.final is None else round(width * config.final)
        widening = [] if config.final is None else [ConvLayer(width, last, act=act)]
        classifier = ConvLayer(last, classes, bias=True, norm=False)
        self.output_ops = nn.ModuleList([OpSequential([*widening, classifier])])

    def forward(self, maps: list[Tensor]) -> Tensor:
        a, b, c = (op(x) for op, x in zip(self.input_ops, maps, strict=True))
        if torch.compiler.is_exporting():  # for maps of any size; sides are multiples of the coarsest stride
            return self.output_ops[0](self.middle(upsample_bicubic(a, 4) + (upsample_bicubic(b, 2) + c)))
        size_hw = (c.shape[-2], c.shape[-1])
        return self.output_ops[0](self.middle(resize_bicubic(a, size_hw) + (resize_bicubic(b, size_hw) + c)))


def classification_head(size: str, channels: int, classes: int) -> OpSequential:
    """The last map [N, C, H, W] -> logits [N, classes]."""
    act = tanh_gelu if size.startswith("l") else nn.Hardswish
    first, second = CLASSIFIER_WIDTHS[size]
    conv = ConvLayer(channels, first, act=act)
    return OpSequential([conv, Pool(), LinearLayer(first, second, act), LinearLayer(second, classes)])


def with_zoo_eps(module: AnyModule, size: str) -> AnyModule:
    """The module with the eps that the official zoo sets after it is built, in every norm."""
    if size.startswith("l"):
        for part in module.modules():
            if isinstance(part, nn.LayerNorm | nn.BatchNorm2d):
                part.eps = L_EPS
    return module
