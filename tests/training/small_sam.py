"""A whole segmenter, SAM's prompt encoder and decoder included, an eighth as wide: a training step takes moments."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from samlet.models import Sam
from samlet.models.efficientvit.blocks import ConvLayer, LiteMLA
from samlet.models.registry import get_spec
from samlet.nn.layers import LayerNorm2d, ToGrid
from samlet.nn.mask_decoder import MaskDecoder
from samlet.nn.prompt_encoder import PromptEncoder
from samlet.spec import ImageSpec

CHANNELS = 32
IMAGE = ImageSpec(canvas=64)


class Layers(nn.Sequential):
    """An encoder that says its blocks: all layers but the last two, which resize and normalize."""

    def ordered_blocks(self):
        return list(self)[:-2]


def small_sam(seed: int = 0) -> Sam:
    """Random weights from a seed, in eval mode, on a 64-pixel canvas."""
    torch.manual_seed(seed)
    layers = (ConvLayer(3, CHANNELS, 3, 2, act=nn.Hardswish), LiteMLA(CHANNELS, head_dim=16, scale=3), ToGrid())
    encoder = Layers(*layers, LayerNorm2d(CHANNELS))
    model = Sam(replace(get_spec("efficientvit-sam-b0"), name="small", image=IMAGE), encoder)
    model.prompt_encoder = PromptEncoder(channels=CHANNELS)
    model.mask_decoder = MaskDecoder(channels=CHANNELS)
    return model.eval()
