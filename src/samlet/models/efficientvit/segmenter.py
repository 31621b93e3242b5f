"""EfficientViT for semantic segmentation: a backbone and a head that sums its last three stages at stride 8.

Source: arXiv 2205.14756; mit-han-lab/efficientvit `models/efficientvit/seg.py` and `seg_model_zoo.py`.
"""

from __future__ import annotations

from torch import Tensor

from samlet.models.efficientvit.heads import SegConfig, SegHead, with_zoo_eps
from samlet.models.efficientvit.network import build_backbone
from samlet.nn.network import LogitsNetwork
from samlet.spec import ModelSpec

HEADS: dict[tuple[str, str], SegConfig] = {
    ("b0", "cityscapes"): SegConfig(32, 1, 4, 4),
    ("b1", "cityscapes"): SegConfig(64, 3, 4, 4),
    ("b2", "cityscapes"): SegConfig(96, 3, 4, 4),
    ("b3", "cityscapes"): SegConfig(128, 3, 4, 4),
    ("l1", "cityscapes"): SegConfig(256, 3, 1, None),
    ("l2", "cityscapes"): SegConfig(256, 5, 1, None),
    ("b1", "ade20k"): SegConfig(64, 3, 4, None),
    ("b2", "ade20k"): SegConfig(96, 3, 4, None),
    ("b3", "ade20k"): SegConfig(128, 3, 4, None),
    ("l1", "ade20k"): SegConfig(128, 3, 4, 8),
    ("l2", "ade20k"): SegConfig(128, 3, 4, 8),
}


class EfficientViTSegmenter(LogitsNetwork):
    """[N, 3, H, W] -> logits [N, classes, H / 8, W / 8], for H and W of 32 or more."""

    stride = 8

    def __init__(self, spec: ModelSpec, size: str, head: str, classes: int) -> None:
        super().__init__(spec)
        self.backbone = build_backbone(size)
        widths = self.backbone.widths[:-4:-1]
        self.head = SegHead(widths, HEADS[size, head], size.startswith("l"), classes)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.backbone(pixels)[:-4:-1])


def build(spec: ModelSpec, size: str, head: str, classes: int) -> EfficientViTSegmenter:
    """The segmenter on one of the backbones with a head of `HEADS`, random weights and the official zoo's eps."""
    return with_zoo_eps(EfficientViTSegmenter(spec, size, head, classes), size)
