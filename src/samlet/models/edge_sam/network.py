"""EdgeSAM: SAM distilled into a RepViT-M1 encoder that merges its last two levels.

Source: arXiv 2312.06660; chongzhou96/EdgeSAM `rep_vit.py`. Official files hold exactly the names of this module, so
nothing is dropped or renamed when one is loaded. The files EdgeSAM publishes for ONNX and Core ML upsample bilinearly,
because Core ML has nothing else, and so give other masks than its PyTorch model; samlet exports the bicubic one.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from samlet.nn.layers import OpSequential, SamNeck
from samlet.nn.repvit import RepDepthwise, RepViT, RepViTConfig, RepViTEncoder
from samlet.nn.sam import Sam
from samlet.spec import ModelSpec

CHANNELS = 256
SIZES = {
    "m1": RepViTConfig((48, 96, 192, 384), (3, 3, 15, 2)),
    "m2": RepViTConfig((64, 128, 256, 512), (3, 3, 13, 2)),
    "m3": RepViTConfig((64, 128, 256, 512), (5, 5, 19, 2)),
}

Upsampling = Literal["bicubic", "bilinear"]


class EdgeSamEncoder(nn.Module):
    """Backbone, merging of the levels at strides 16 and 32, SAM's neck. [N, 3, S, S] -> [N, 256, S/16, S/16]."""

    def __init__(self, config: RepViTConfig, upsampling: Upsampling = "bicubic") -> None:
        super().__init__()
        *_, fine, coarse = config.widths
        self.features = RepViT(config, RepDepthwise, keep_resolution=False)
        self.fuse_stage2 = nn.Conv2d(fine, CHANNELS, 1, bias=False)
        self.fuse_stage3 = OpSequential(
            [
                nn.Conv2d(coarse, CHANNELS, 1, bias=False),
                nn.Upsample(scale_factor=2, mode=upsampling, align_corners=False),
            ]
        )
        self.neck = SamNeck(CHANNELS)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.embed(self.features.forward_features(pixels))

    def embed(self, maps: list[Tensor]) -> Tensor:
        """The maps of `RepViT.forward_features`, of which the last two count -> [N, 256, S/16, S/16]."""
        return self.neck(self.fuse_stage2(maps[-2]) + self.fuse_stage3(maps[-1]))


def build(spec: ModelSpec, size: str, upsampling: Upsampling = "bicubic", levels: Literal[1, 2] = 2) -> Sam:
    """EdgeSAM with one of the encoders `SIZES`, with random weights.

    `levels` 1 is the paper's ablation: no merging, the last stage of the backbone stays at stride 16 instead.
    """
    return Sam(spec, build_encoder(size, upsampling) if levels == 2 else RepViTEncoder(SIZES[size], RepDepthwise))


def build_encoder(size: str, upsampling: Upsampling = "bicubic") -> EdgeSamEncoder:
    """The image encoder of two levels, of one of `SIZES`, with random weights."""
    return EdgeSamEncoder(SIZES[size], upsampling)
