"""Every name that transformers gives SAM's weights becomes the official one, and nothing else is touched."""

from __future__ import annotations

import pytest
from tests import parity

from samlet.models.creation import skeleton
from samlet.models.transformers_names import to_official_names


def with_bias(*layers: str) -> list[str]:
    return [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]


def inside(part: str, names: list[str]) -> list[str]:
    return [f"{part}.{name}" for name in names]


def projections(*attentions: str) -> list[str]:
    return [f"{attention}.{projection}_proj" for attention in attentions for projection in ("q", "k", "v", "out")]


REL_POS = ["attn.rel_pos_h", "attn.rel_pos_w"]
NORMS = [f"layer_norm{i}" for i in (1, 2, 3, 4)]
ENCODER_LAYER = [
    *with_bias(*NORMS[:2], "attn.qkv", "attn.proj", "mlp.lin1", "mlp.lin2"),
    "attn.rel_pos_h",
    "attn.rel_pos_w",
]
DECODER_LAYER = with_bias(
    *projections("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token"), *NORMS, "mlp.lin1", "mlp.lin2"
)
MLPS = ["iou_prediction_head", *(f"output_hypernetworks_mlps.{i}" for i in range(4))]
# The names of transformers' SamModel in its default configuration, ViT-B.
THEIRS = [
    "shared_image_embedding.positional_embedding",
    "vision_encoder.pos_embed",
    *inside("vision_encoder", with_bias("patch_embed.projection")),
    *(name for i in range(12) for name in inside(f"vision_encoder.layers.{i}", ENCODER_LAYER)),
    *inside("vision_encoder.neck", ["conv1.weight", "conv2.weight", *with_bias(*NORMS[:2])]),
    "prompt_encoder.shared_embedding.positional_embedding",
    *inside("prompt_encoder", ["no_mask_embed.weight", "not_a_point_embed.weight"]),
    *(f"prompt_encoder.point_embed.{i}.weight" for i in range(4)),
    *inside("prompt_encoder.mask_embed", with_bias("conv1", "conv2", "conv3", *NORMS[:2])),
    *inside("mask_decoder", ["iou_token.weight", "mask_tokens.weight"]),
    *(name for i in range(2) for name in inside(f"mask_decoder.transformer.layers.{i}", DECODER_LAYER)),
    *inside("mask_decoder.transformer", with_bias(*projections("final_attn_token_to_image"), "layer_norm_final_attn")),
    *inside("mask_decoder", with_bias("upscale_conv1", "upscale_conv2", "upscale_layer_norm")),
    *(name for mlp in MLPS for name in inside(f"mask_decoder.{mlp}", with_bias("proj_in", "layers.0", "proj_out"))),
]


def test_all_names_of_vit_b_become_official() -> None:
    assert to_official_names(dict.fromkeys(THEIRS, 0)).keys() == skeleton("sam-vit-b").state_dict().keys()


@pytest.mark.parametrize("name", ["sam-vit-b", "mobile-sam"])
def test_official_names_stay(name: str) -> None:
    manifest = parity.numbers(name)["manifest"]
    assert to_official_names(manifest) == manifest


def test_nothing_stays_nothing() -> None:
    assert to_official_names({}) == {}
