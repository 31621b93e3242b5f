"""Channel norm, conv + batch norm and the SAM neck."""

from __future__ import annotations

import torch
from torch import nn

from samlet.nn.layers import ConvBN, LayerNorm2d, SamNeck


def test_channel_norm_uses_the_biased_variance_of_each_position() -> None:
    norm = LayerNorm2d(5, eps=0.1)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(2, 5, 3, 4)
    centred = x - x.mean(1, keepdim=True)
    scaled = centred / (centred.square().mean(1, keepdim=True) + 0.1).sqrt()
    expected = scaled * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(norm(x), expected)


def test_channel_norm_is_found_by_code_that_sets_the_eps_of_every_layer_norm() -> None:
    assert isinstance(LayerNorm2d(4), nn.LayerNorm)
    assert LayerNorm2d(4).eps == 1e-6


def test_conv_bn_has_the_official_names_and_no_bias() -> None:
    unit = ConvBN(3, 8, 3, stride=2)
    assert [name for name, _ in unit.named_parameters()] == ["c.weight", "bn.weight", "bn.bias"]
    assert unit(torch.zeros(1, 3, 9, 8)).shape == (1, 8, 5, 4)


def test_neck_keeps_the_grid() -> None:
    neck = SamNeck(12)
    assert [name for name, _ in neck.named_parameters()] == [
        "0.weight", "1.weight", "1.bias", "2.weight", "3.weight", "3.bias"
    ]  # fmt: skip
    assert neck(torch.randn(1, 12, 6, 5)).shape == (1, 256, 6, 5)
