"""SAM's ViT encoders: windows, global blocks and decomposed relative positions, against the plain formulas."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samlet.models.creation import skeleton
from samlet.models.sam.network import SIZES, WINDOW, Attention, Block

HEADS, SIDE, WIDTH = 2, 3, 8


@pytest.fixture
def attention() -> Attention:
    attention = Attention(WIDTH, HEADS, SIDE).requires_grad_(False)
    nn.init.normal_(attention.rel_pos_h)
    nn.init.normal_(attention.rel_pos_w)
    return attention


def plain_attention(attention: Attention, x: Tensor) -> Tensor:
    """One map [SIDE, SIDE, WIDTH], pair by pair: scaled products plus the unscaled query times two vectors."""
    q, k, v = attention.qkv(x.reshape(-1, WIDTH)).reshape(-1, 3, HEADS, WIDTH // HEADS).unbind(1)
    scores = torch.einsum("qhd,khd->hqk", q, k) / (WIDTH // HEADS) ** 0.5
    for i in range(SIDE * SIDE):
        for j in range(SIDE * SIDE):
            dy, dx = i // SIDE - j // SIDE, i % SIDE - j % SIDE
            scores[:, i, j] += q[i] @ (attention.rel_pos_h[dy + SIDE - 1] + attention.rel_pos_w[dx + SIDE - 1])
    out = torch.einsum("hqk,khd->qhd", scores.softmax(-1), v)
    return attention.proj(out.reshape(SIDE, SIDE, WIDTH))


def test_attention_is_the_plain_formula(attention: Attention) -> None:
    maps = torch.randn(2, SIDE, SIDE, WIDTH)
    expected = torch.stack([plain_attention(attention, x) for x in maps])
    torch.testing.assert_close(attention(maps), expected)


def test_windows_attend_among_themselves_and_padding_takes_part_as_zeros() -> None:
    """A 5 x 4 map in windows of 3: the lower right one holds 2 x 1 positions and 7 of padding."""
    block = Block(WIDTH, HEADS, grid=64, window=SIDE).requires_grad_(False)
    x = torch.randn(1, 5, 4, WIDTH)
    ours = block._attend_in_windows(x, SIDE)
    assert ours.shape == x.shape
    torch.testing.assert_close(ours[:, :3, :3], block.attn(x[:, :3, :3]))
    corner = F.pad(x[:, 3:, 3:], (0, 0, 0, 2, 0, 1))
    torch.testing.assert_close(ours[:, 3:, 3:], block.attn(corner)[:, :2, :1])


def test_padding_comes_after_the_norm() -> None:
    block = Block(WIDTH, HEADS, grid=64, window=SIDE).requires_grad_(False)
    nn.init.constant_(block.norm1.bias, 5)  # padding before the norm would enter attention as fives
    x = torch.randn(1, 2, 2, WIDTH)
    attended = x + block.attn(F.pad(block.norm1(x), (0, 0, 0, 1, 0, 1)))[:, :2, :2]
    torch.testing.assert_close(block(x), attended + block.mlp(block.norm2(attended)))


@pytest.mark.parametrize("size", SIZES)
def test_only_the_global_blocks_see_the_whole_map(size: str) -> None:
    encoder, config = skeleton(f"sam-vit-{size}").image_encoder, SIZES[size]
    sides = [block.attn.side for block in encoder.blocks]
    assert sides == [64 if i in config.global_blocks else WINDOW for i in range(config.depth)]
    assert {block.norm1.eps for block in encoder.blocks} == {1e-6}


def test_blocks_keep_channels_last_maps() -> None:
    encoder = skeleton("sam-vit-b").image_encoder
    seen: list[torch.Size] = []
    for i in (0, 2):
        encoder.blocks[i].register_forward_hook(lambda _, __, out: seen.append(out.shape))
    encoder(torch.empty(1, 3, 1024, 1024, device="meta"))
    assert seen == [(1, 64, 64, 768), (1, 64, 64, 768)]
