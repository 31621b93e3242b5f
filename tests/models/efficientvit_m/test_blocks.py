"""The blocks of EfficientViT-M and CascadedViT give the official numbers, unfused and fused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests import filler, parity
from torch import nn

from samlet.errors import ModelError
from samlet.models.cascadedvit.network import CascadedChunkFFN
from samlet.models.efficientvit_m.blocks import (
    FFN,
    Block,
    BNLinear,
    CascadedGroupAttention,
    DepthwiseResidual,
    LocalWindowAttention,
    PatchMerging,
)
from samlet.nn.layers import ConvBN

M: dict[str, Callable[[], nn.Module]] = {
    "conv_bn": lambda: ConvBN(8, 16, 3, 2),
    "bn_linear": lambda: BNLinear(24, 10),
    "ffn": lambda: FFN(16, 32),
    "patch_merging": lambda: PatchMerging(16, 24),
    "cga": lambda: CascadedGroupAttention(32, 8, (7, 5, 3, 3), 7),
    "cga_wide_v": lambda: CascadedGroupAttention(48, 16, (7, 5, 3), 4),
    "window_attention_exact": lambda: LocalWindowAttention(32, 8, (5, 5, 5, 5), 14),
    "window_attention_padded": lambda: LocalWindowAttention(32, 8, (5, 5, 5, 5), 16),
}
CASCADED: dict[str, Callable[[], nn.Module]] = {
    "ccffn_2": lambda: CascadedChunkFFN(16, 40, 2),
    "ccffn_3": lambda: CascadedChunkFFN(24, 60, 3),
    "block": lambda: Block(32, 8, (5, 5, 5, 5), 14, lambda channels: CascadedChunkFFN(channels, int(2.5 * channels))),
}
CASES = [("efficientvit-m-blocks", name, make) for name, make in M.items()] + [
    ("cascadedvit-blocks", name, make) for name, make in CASCADED.items()
]


def given(case: dict[str, Any]) -> torch.Tensor:
    return torch.from_numpy(filler.array(case["input"]["name"], *case["input"]["shape"]))


@pytest.mark.parametrize(("file", "name", "make"), CASES, ids=[name for _, name, _ in CASES])
def test_block_gives_the_official_numbers(file: str, name: str, make: Callable[[], nn.Module]) -> None:
    numbers = parity.numbers(file)
    block = filler.fill_(make().eval())
    assert {key: list(value.shape) for key, value in block.state_dict().items()} == numbers["manifests"][name]
    case = numbers["blocks"][name]
    with torch.no_grad():
        assert parity.wrong({"y": (block(given(case)), case["outputs"]["y"])}) == {}


@pytest.mark.parametrize("name", ["conv_bn", "bn_linear"])
def test_a_fused_layer_has_the_official_weights(name: str) -> None:
    case = parity.numbers("efficientvit-m-blocks")["blocks"][f"{name}_fused"]
    fused = filler.fill_(M[name]().eval()).fused()
    with torch.no_grad():
        found = {"y": fused(given(case)), "weight": fused.weight, "bias": fused.bias}
    assert parity.wrong({key: (found[key], digest) for key, digest in case["outputs"].items()}) == {}


def test_a_depthwise_residual_is_one_convolution() -> None:
    block = filler.fill_(DepthwiseResidual(8).eval())
    fused = block.fused()
    assert isinstance(fused, nn.Conv2d)
    x = torch.randn(2, 8, 9, 11)
    with torch.no_grad():
        torch.testing.assert_close(fused(x), block(x), rtol=1e-5, atol=1e-5)
        assert block.m.c.weight[:, :, 1, 1].abs().max() < 2  # the block itself stays as it was


def test_a_smaller_map_has_the_biases_of_its_distances() -> None:
    """Cells beyond a smaller map are made invisible to the whole one, which then says the same."""
    attention = filler.fill_(CascadedGroupAttention(8, 4, (1,), 4).eval())
    x = torch.randn(1, 8, 4, 4)
    seen = torch.zeros(4, 4, dtype=torch.bool)
    seen[:3, :2] = True
    with torch.no_grad():
        q, k, v = attention.qkvs[0](x).split([4, 4, 8], dim=1)
        scores = attention.dws[0](q).flatten(2).transpose(1, 2) @ k.flatten(2) * 0.5
        scores += attention.attention_biases[0, attention.attention_bias_idxs]
        weights = scores.masked_fill(~seen.reshape(-1), -torch.inf).softmax(-1)
        whole = attention.proj((v.flatten(2) @ weights.transpose(1, 2)).reshape(1, 8, 4, 4))
        torch.testing.assert_close(attention(x[:, :, :3, :2]), whole[:, :, :3, :2])


def test_a_larger_map_is_refused() -> None:
    with pytest.raises(ModelError, match="A map of 5x5 cells reached an attention made for 4x4"):
        LocalWindowAttention(16, 8, (3, 3), 4)(torch.zeros(1, 16, 5, 5))
