"""TinyViT's attention biases are never stale; windows, strides and names are those of the official checkpoint."""

from __future__ import annotations

import pytest
import torch
from tests import filler, parity
from torch import nn

from samlet.models import create
from samlet.models.creation import skeleton
from samlet.models.mobile_sam.network import UNUSED, TinyViTBlock, WindowAttention, bias_index


@pytest.mark.parametrize("training", [False, True])
def test_attention_biases_are_read_in_every_forward_pass(training: bool) -> None:
    """The official code caches them in `eval()`: weights loaded later ran without any bias."""
    attention = WindowAttention(64, heads=2, window=7).train(training)
    x = torch.randn(3, 49, 64)
    before = attention(x)
    with torch.no_grad():
        attention.attention_biases.copy_(torch.randn_like(attention.attention_biases))
    after = attention(x)
    assert (after - before).abs().max() > 1e-3
    torch.testing.assert_close(attention.train(not training)(x), after)


def test_zeroing_the_biases_of_a_model_in_eval_mode_gives_the_official_numbers_without_bias() -> None:
    model = filler.fill_(create("mobile-sam")).requires_grad_(False)
    for name, parameter in model.named_parameters():
        if name.endswith("attention_biases"):
            parameter.zero_()
    embedding = model.encode(torch.from_numpy(filler.array("encoder", 1, 3, 1024, 1024)))
    digest = parity.numbers("mobile-sam")["zero_attention_biases"]
    assert parity.wrong({"embedding": (embedding, digest)}) == {}


def test_biases_depend_on_the_distance_alone_and_are_numbered_as_first_seen() -> None:
    index, offsets = bias_index(3)
    assert offsets == 9
    assert index[0].tolist() == list(range(9))  # the first position sees (0,0), (0,1), (0,2), (1,0), …
    assert torch.equal(index, index.T)
    assert index[4].tolist() == [4, 3, 4, 1, 0, 1, 4, 3, 4]  # the middle one sees each distance on both sides


def test_attention_is_the_plain_formula() -> None:
    attention = WindowAttention(64, heads=2, window=2)
    nn.init.normal_(attention.attention_biases)
    x = torch.randn(1, 4, 64)
    q, k, v = attention.qkv(attention.norm(x)).reshape(4, 2, 96).split(32, dim=-1)
    scores = torch.einsum("qhd,khd->hqk", q, k) / 32**0.5 + attention.attention_biases[:, bias_index(2)[0]]
    expected = attention.proj(torch.einsum("hqk,khd->qhd", scores.softmax(-1), v).reshape(1, 4, 64))
    torch.testing.assert_close(attention(x), expected)


def test_a_map_that_windows_do_not_divide_keeps_its_size_and_its_whole_windows_their_values() -> None:
    block = TinyViTBlock(64, heads=2, window=4).eval()
    x = torch.randn(1, 6, 9, 64)
    attended = block._attend(x)
    assert attended.shape == x.shape
    torch.testing.assert_close(attended[:, :4, :8], block._attend(x[:, :4, :8]))


def test_the_last_downsampling_keeps_the_resolution() -> None:
    strides = [stage.downsample.conv2.c.stride for stage in skeleton("mobile-sam").image_encoder.layers[:-1]]
    assert strides == [(2, 2), (2, 2), (1, 1)]


def test_the_classifier_is_named_as_unused_and_is_not_run() -> None:
    model = skeleton("mobile-sam")
    unused = [name for name, _ in model.named_parameters() if name.startswith(UNUSED)]
    assert unused == [f"image_encoder.{layer}.{kind}" for layer in ("norm_head", "head") for kind in ("weight", "bias")]
    del model.image_encoder.norm_head, model.image_encoder.head
    assert model.encode(torch.empty(1, 3, 1024, 1024, device="meta")).shape == (1, 256, 64, 64)
