"""Attention of tokens and image: the plain formula, and keys that a bias hides."""

from __future__ import annotations

import torch
from torch import Tensor

from samlet.nn.two_way_transformer import Attention, TwoWayTransformer

HIDDEN = -1e4


def test_attention_is_softmax_of_scaled_products() -> None:
    attention = Attention(12, heads=2, reduction=2)
    q, k, v = torch.randn(3, 4, 12), torch.randn(3, 5, 12), torch.randn(3, 5, 12)
    q_heads, k_heads, v_heads = (
        part.reshape(3, -1, 2, 3) for part in (attention.q_proj(q), attention.k_proj(k), attention.v_proj(v))
    )
    shares = (torch.einsum("pqhd,pkhd->phqk", q_heads, k_heads) / 3**0.5).softmax(-1)
    expected = attention.out_proj(torch.einsum("phqk,pkhd->pqhd", shares, v_heads).flatten(2))
    torch.testing.assert_close(attention(q, k, v), expected)


def run(tokens: Tensor, image: Tensor, token_bias: Tensor | None) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    transformer = TwoWayTransformer(channels=32, heads=4, hidden=16)
    return transformer(image, torch.ones(1, 32, 3, 3), tokens, token_bias)


def test_a_hidden_token_changes_nothing() -> None:
    tokens, image = torch.randn(2, 6, 32), torch.randn(2, 32, 3, 3)
    bias = torch.zeros(2, 1, 1, 6)
    bias[:, :, :, 4:] = HIDDEN
    alone, image_alone = run(tokens[:, :4], image, None)
    together, image_together = run(tokens, image, bias)
    torch.testing.assert_close(together[:, :4], alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(image_together, image_alone, rtol=0, atol=1e-5)


def test_a_visible_token_changes_something() -> None:
    tokens, image = torch.randn(2, 6, 32), torch.randn(2, 32, 3, 3)
    alone, _ = run(tokens[:, :4], image, None)
    together, _ = run(tokens, image, torch.zeros(2, 1, 1, 6))
    assert (together[:, :4] - alone).abs().max() > 1e-3
