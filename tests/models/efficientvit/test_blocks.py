"""EfficientViT's blocks give the official numbers; linear attention is exact and survives float16."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from tests import filler, parity
from torch import nn

from samlet.models.efficientvit.blocks import (
    ConvLayer,
    DSConv,
    EfficientViTBlock,
    FusedMBConv,
    LiteMLA,
    MBConv,
    ResBlock,
    tanh_gelu,
)
from samlet.nn.layers import LayerNorm2d, ToGrid

BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "conv_layer": lambda: ConvLayer(8, 12, 3, 2, act=nn.Hardswish),
    "conv_layer_gelu": lambda: ConvLayer(8, 12, bias=True, norm=False, act=tanh_gelu),
    "ds_conv": lambda: DSConv(16, 16, nn.Hardswish),
    "mb_conv": lambda: MBConv(16, 24, 2, 4, nn.Hardswish),
    "mb_conv_fewer_norm": lambda: MBConv(16, 24, 2, 4, tanh_gelu, fewer_norm=True),
    "fused_mb_conv": lambda: FusedMBConv(16, 24, 2, 4, tanh_gelu),
    "res_block": lambda: ResBlock(16, 16, 1, 1, tanh_gelu),
    "lite_mla_linear": lambda: LiteMLA(64, 16, 5),
    "lite_mla_quadratic": lambda: LiteMLA(64, 16, 5),
    "lite_mla_scale3": lambda: LiteMLA(64, 32, 3),
    "efficientvit_block": lambda: EfficientViTBlock(64, 32, 5, 6, tanh_gelu),
    "efficientvit_block_hswish": lambda: EfficientViTBlock(64, 16, 5, 4, nn.Hardswish),
    "layer_norm_2d": lambda: LayerNorm2d(24, eps=1e-5),
    "upsample_size": ToGrid,
}


def official_input(description: str) -> torch.Tensor:
    """The array a case's description names: `x=array("mb",2,16,12,12)`."""
    name, shape = re.findall(r'array\("(\w+)",([\d,]+)\)', description)[0]
    return torch.from_numpy(filler.array(name, *map(int, shape.split(","))))


@pytest.mark.parametrize("name", BLOCKS)
def test_block_gives_the_official_numbers(name: str) -> None:
    numbers = parity.numbers("efficientvit-blocks")
    case = numbers["blocks"][name]
    block = filler.fill_(BLOCKS[name]().eval())
    assert {key: list(value.shape) for key, value in block.state_dict().items()} == numbers["manifests"][name]
    with torch.no_grad():
        assert parity.wrong({"output": (block(official_input(case["inputs"])), case["output"])}) == {}


def test_linear_and_quadratic_attention_agree() -> None:
    """16 positions take the quadratic form; one more, of zeros, changes nothing but forces the linear one."""
    attention = LiteMLA(64, head_dim=16, scale=5)
    qkv = torch.randn(2, 4, 48, 16)
    longer = torch.cat([qkv, torch.zeros(2, 4, 48, 1)], dim=-1)
    torch.testing.assert_close(attention._attend(longer)[..., :16], attention._attend(qkv), rtol=0, atol=2e-6)


def test_a_query_without_a_positive_channel_gives_zero_not_nan() -> None:
    attention = LiteMLA(16, head_dim=16, scale=5)
    for positions in (16, 17):
        qkv = torch.randn(1, 1, 48, positions)
        qkv[:, :, :16] = -1
        torch.testing.assert_close(attention._attend(qkv), torch.zeros(1, 1, 16, positions))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_attention_survives_half_precision(dtype: torch.dtype) -> None:
    """4096 positions of size 10: their sums leave float16's range (65504), as in the official code's NaN reports."""
    attention = LiteMLA(32, head_dim=32, scale=5).eval()
    nn.init.constant_(attention.qkv.get_parameter("conv.weight"), 0.1)
    x = torch.rand(1, 32, 64, 64) + 9
    with torch.no_grad():
        exact, half = attention(x), attention.to(dtype)(x.to(dtype))
    assert half.dtype == dtype
    assert (half.float() - exact).norm() < 0.05 * exact.norm()


def test_a_query_that_is_all_zero_attends_to_nothing_and_stays_finite() -> None:
    attention = LiteMLA(32, head_dim=16, scale=5).eval()
    with torch.no_grad():
        out = attention(torch.zeros(1, 32, 8, 8))
        expected = attention.proj(torch.zeros(1, 64, 8, 8))
    assert torch.equal(out, expected)
