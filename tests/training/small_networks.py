"""A classifier and a segmenter so small that a training step takes moments."""

from __future__ import annotations

import torch
from torch import nn

from samlet.models.efficientvit.blocks import ConvLayer, EfficientViTBlock, MBConv, Residual
from samlet.nn.network import LogitsNetwork

WIDTH = 16


class _Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = ConvLayer(3, WIDTH, 3, 4, act=nn.ReLU)
        self.blocks = nn.ModuleList(
            [Residual(MBConv(WIDTH, WIDTH, 1, 1, nn.ReLU)), EfficientViTBlock(WIDTH, WIDTH, 3, 1, nn.ReLU)]
        )

    def forward(self, pixels):
        x = self.stem(pixels)
        for block in self.blocks:
            x = block(x)
        return x

    def ordered_blocks(self):
        return list(self.blocks)


class SmallClassifier(LogitsNetwork):
    """With `pair`, training answers twice, as a network with a head for its teacher does."""

    def __init__(self, spec, pair=False):
        super().__init__(spec)
        self.backbone = _Backbone()
        self.head = nn.Linear(WIDTH, len(spec.classes))
        self.taught = nn.Linear(WIDTH, len(spec.classes)) if pair else None

    def forward(self, pixels):
        x = self.backbone(pixels).mean((2, 3))
        if self.taught is None:
            return self.head(x)
        both = self.head(x), self.taught(x)
        return both if self.training else (both[0] + both[1]) / 2


class SmallSegmenter(LogitsNetwork):
    def __init__(self, spec):
        super().__init__(spec)
        self.backbone = _Backbone()
        self.head = nn.Conv2d(WIDTH, len(spec.classes), 1)

    def forward(self, pixels):
        return self.head(self.backbone(pixels))


def small_network(spec, *_):
    """In place of `samlet.models.create`."""
    return (SmallClassifier if spec.task == "classification" else SmallSegmenter)(spec).eval()


def seeded(kind, spec, seed=0, **options):
    torch.manual_seed(seed)
    return kind(spec, **options)
