"""Channel norm, conv + batch norm, the SAM neck and the way to its grid."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from samlet.nn.layers import ConvBN, LayerNorm2d, SamNeck, ToGrid


def test_channel_norm_uses_the_biased_variance_of_each_position() -> None:
    norm = LayerNorm2d(5, eps=0.1)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(2, 5, 3, 4)
    centered = x - x.mean(1, keepdim=True)
    scaled = centered / (centered.square().mean(1, keepdim=True) + 0.1).sqrt()
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


def test_a_map_of_the_grids_size_passes_untouched() -> None:
    x = torch.randn(1, 2, 64, 64)
    assert ToGrid()(x) is x


@pytest.mark.parametrize("side", [5, 37, 80, 128])
def test_where_gradients_are_wanted_products_resize_alike(side: int) -> None:
    x = torch.randn(2, 3, side, side + 3, requires_grad=True)
    resized, expected = ToGrid()(x), F.interpolate(x, size=(64, 64), mode="bicubic", align_corners=False)
    torch.testing.assert_close(resized, expected, atol=3e-6, rtol=0)
    ours, theirs = (torch.autograd.grad(y.square().sum(), x)[0] for y in (resized, expected))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_maps_are_resized_in_float32_and_keep_their_type(dtype: torch.dtype) -> None:
    x = torch.randn(1, 2, 16, 16, dtype=dtype)
    resized = ToGrid()(x)
    assert resized.dtype == dtype
    expected = F.interpolate(x.float(), size=(64, 64), mode="bicubic", align_corners=False)
    torch.testing.assert_close(resized, expected.to(dtype))


def test_where_gradients_are_wanted_autocast_does_not_round_the_products() -> None:
    x = torch.randn(1, 2, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        resized = ToGrid()(x.clone().requires_grad_())
    torch.testing.assert_close(resized, ToGrid()(x), rtol=0, atol=1e-5)


def test_a_map_without_values_has_a_size_too() -> None:
    assert ToGrid()(torch.empty(1, 2, 16, 16, device="meta", requires_grad=True)).shape == (1, 2, 64, 64)
