"""EfficientViT-SAM: an EfficientViT backbone and a neck that fuses its last three stages at 64x64.

Source: arXiv 2402.05008; mit-han-lab/efficientvit `models/efficientvit/sam.py`. The L and XL models are the paper's;
`b0` and `b1` are ours: a B backbone under the same neck made of inverted depthwise blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from samlet.models.efficientvit.blocks import ConvLayer, FusedMBConv, MBConv, Residual, tanh_gelu
from samlet.models.efficientvit.network import build_backbone
from samlet.nn.layers import LayerNorm2d, OpSequential, ToGrid
from samlet.nn.sam import Sam
from samlet.spec import ModelSpec

CHANNELS = 256
NORM_EPS = 1e-6


@dataclass(frozen=True)
class NeckConfig:
    """Depth and expansion of the neck's middle; `light` replaces its dense blocks by inverted depthwise ones."""

    depth: int
    expand: float
    light: bool = False


NECKS = {
    "b0": NeckConfig(2, 1, light=True),
    "b1": NeckConfig(2, 1, light=True),
    "l0": NeckConfig(4, 1),
    "l1": NeckConfig(8, 1),
    "l2": NeckConfig(12, 1),
    "xl0": NeckConfig(6, 4),
    "xl1": NeckConfig(12, 4),
}


class SamNeck(nn.Module):
    """The last three stages, coarsest first, to [N, 256, 64, 64]."""

    def __init__(self, in_channels: tuple[int, ...], config: NeckConfig, grid: int) -> None:
        super().__init__()
        self.input_ops = nn.ModuleList([OpSequential([ConvLayer(c, CHANNELS), ToGrid(grid)]) for c in in_channels])
        # The light block follows the B backbones' later stages: hard swish, which phones and integer runtimes have, and
        # few norms, which cost more than the convolutions when training on a CPU.
        block, act = (MBConv, nn.Hardswish) if config.light else (FusedMBConv, tanh_gelu)
        blocks = [block(CHANNELS, CHANNELS, 1, config.expand, act, config.light) for _ in range(config.depth)]
        self.middle = OpSequential([Residual(block) for block in blocks])
        self.output_ops = nn.ModuleList([OpSequential([ConvLayer(CHANNELS, CHANNELS, bias=True, norm=False)])])

    def forward(self, maps: list[Tensor]) -> Tensor:
        a, b, c = (op(x) for op, x in zip(self.input_ops, maps, strict=True))
        return self.output_ops[0](self.middle(a + (b + c)))


class EfficientViTSamEncoder(nn.Module):
    """Backbone, neck and a last channel norm: [N, 3, S, S] -> [N, 256, 64, 64], for any S with three stages left."""

    def __init__(self, name: str, grid: int = 64) -> None:
        super().__init__()
        self.backbone = build_backbone(name)
        self.neck = SamNeck(self.backbone.widths[:-4:-1], NECKS[name], grid)
        self.norm = LayerNorm2d(CHANNELS)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.norm(self.neck(self.backbone(pixels)[:-4:-1]))


def build(spec: ModelSpec, backbone: str) -> Sam:
    """The model whose backbone is one of `NECKS`, with random weights and the norm eps the official zoo sets.

    That eps reaches every LayerNorm, the mask decoder's too, which in SAM itself are at 1e-5.
    """
    model = Sam(spec, EfficientViTSamEncoder(backbone, spec.image.grid))
    for module in model.modules():
        if isinstance(module, nn.LayerNorm | nn.BatchNorm2d):
            module.eps = NORM_EPS
    return model
