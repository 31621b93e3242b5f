"""RepViT: where blocks squeeze, where stages end and at which stride; the token mixers by their formulas."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tests.filler import fill_
from torch import nn

from samlet.models.edge_sam.network import SIZES
from samlet.models.repvit_sam.network import M2_3
from samlet.nn.repvit import (
    ChannelMixer,
    RepDepthwise,
    RepDepthwiseNorm,
    RepViT,
    RepViTConfig,
    RepViTEncoder,
    SqueezeExcite,
)

TINY = RepViTConfig((8, 16, 24, 32), (3, 2, 5, 2))
MAPS = torch.linspace(-2, 2, 2 * 8 * 6 * 6).sin().reshape(2, 8, 6, 6)


def squeezing(config: RepViTConfig) -> list[int]:
    """The numbers of the blocks that squeeze."""
    with torch.device("meta"):
        backbone = RepViT(config, RepDepthwise, keep_resolution=False)
    return [i for i, block in enumerate(backbone) if any(isinstance(part, SqueezeExcite) for part in block.modules())]


@pytest.mark.parametrize(
    ("config", "numbers"),
    [
        (SIZES["m1"], [1, 5, *range(9, 22, 2), 25]),
        (SIZES["m2"], [1, 5, *range(9, 20, 2), 23]),
        (SIZES["m3"], [1, 3, 7, 9, *range(13, 30, 2), 33]),
        (M2_3, [1, 3, 5, 9, 11, 13, *range(17, 50, 2), 53]),
    ],
    ids=["m1", "m2", "m3", "m2.3"],
)
def test_blocks_that_squeeze(config: RepViTConfig, numbers: list[int]) -> None:
    assert squeezing(config) == numbers


@pytest.mark.parametrize(("keep_resolution", "last"), [(False, 2), (True, 4)])
def test_stages_and_their_strides(keep_resolution: bool, last: int) -> None:
    backbone = RepViT(TINY, RepDepthwise, keep_resolution).eval()
    pixels = torch.randn(1, 3, 64, 64)
    maps = backbone.forward_features(pixels)
    sides = [(8, 16), (8, 16), (16, 8), (24, 4), (32, last)]
    assert [tuple(x.shape[1:3]) for x in maps] == sides
    assert torch.equal(maps[-1], backbone(pixels))
    assert torch.equal(maps[1], nn.Sequential(*list(backbone)[:4])(pixels))


def test_an_encoder_of_one_level_gives_an_embedding_at_stride_16() -> None:
    assert RepViTEncoder(TINY, RepDepthwiseNorm).eval()(torch.randn(1, 3, 64, 64)).shape == (1, 256, 4, 4)


def test_the_mixer_with_a_norm_in_each_branch() -> None:
    mixer = fill_(RepDepthwise(8).eval())
    expected = mixer.conv.bn(mixer.conv.c(MAPS)) + mixer.conv1.bn(mixer.conv1.c(MAPS)) + MAPS
    torch.testing.assert_close(mixer(MAPS), expected)


def test_the_mixer_with_a_norm_of_the_sum() -> None:
    mixer = fill_(RepDepthwiseNorm(8).eval())
    expected = mixer.bn(mixer.conv.bn(mixer.conv.c(MAPS)) + mixer.conv1(MAPS) + MAPS)
    torch.testing.assert_close(mixer(MAPS), expected)


@pytest.mark.parametrize(
    ("channels", "hidden"),
    [(48, 16), (96, 24), (192, 48), (384, 96), (80, 24), (160, 40), (320, 80), (640, 160), (64, 16), (512, 128)],
)
def test_the_width_of_squeezing(channels: int, hidden: int) -> None:
    assert SqueezeExcite(channels).fc1.out_channels == hidden


def test_squeezing_scales_channels_by_their_means() -> None:
    module = SqueezeExcite(8)
    scale = module.fc2(F.relu(module.fc1(MAPS.mean((2, 3), keepdim=True)))).sigmoid()
    torch.testing.assert_close(module(MAPS), MAPS * scale)


def test_a_new_channel_mixer_is_the_identity() -> None:
    assert torch.equal(ChannelMixer(8)(MAPS), MAPS)
