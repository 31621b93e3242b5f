"""The mask decoder gives the official tokens, image, logits and IoU, whole and in its two halves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests import filler, parity
from torch import Tensor, nn

from samlet.geometry.regions import stability_score
from samlet.nn.mask_decoder import MaskDecoder, Mlp
from samlet.nn.prompt_encoder import PromptEncoder

PROMPTS = parity.numbers("mask-decoder")["prompts"]


@pytest.fixture(scope="module")
def parts() -> nn.ModuleDict:
    parts = nn.ModuleDict({"prompt_encoder": PromptEncoder(), "mask_decoder": MaskDecoder()}).requires_grad_(False)
    return filler.fill_(parts.eval())


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.from_numpy(filler.array("embedding", 1, 256, 64, 64))


def embedded(parts: nn.ModuleDict, case: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Image positions, sparse and dense embedding of a case."""
    encoder = parts["prompt_encoder"]
    points = case["points_xy"] and (torch.tensor(case["points_xy"]), torch.tensor(case["labels"]))
    boxes = case["boxes_xyxy"] and torch.tensor(case["boxes_xyxy"])
    mask = case["mask_input"] and torch.from_numpy(filler.array(case["mask_input"], 1, 256, 256))[None]
    return encoder.get_dense_pe(), *encoder(points, boxes, mask)


def test_names_and_shapes_are_official(parts: nn.ModuleDict) -> None:
    ours = {name: list(value.shape) for name, value in parts.state_dict().items()}
    assert ours == parity.numbers("mask-decoder")["manifest"]


@pytest.mark.parametrize("name", PROMPTS)
def test_prompt_gives_the_official_numbers(parts: nn.ModuleDict, image: Tensor, name: str) -> None:
    case, decoder = PROMPTS[name], parts["mask_decoder"]
    image_pe, sparse, dense = embedded(parts, case)
    seen: list[tuple[Tensor, Tensor]] = []
    hook = decoder.transformer.register_forward_hook(lambda _, __, out: seen.append(out))
    iou, mask_tokens, keys = decoder.decode_tokens(image + dense, image_pe, sparse)
    hook.remove()
    low_res = decoder.upscale(mask_tokens, keys)
    outputs = {
        "transformer_tokens": seen[0][0],
        "transformer_image": keys,
        "all_mask_logits_4": low_res,
        "all_iou_4": iou,
    }
    assert parity.wrong({key: (value, case[key]) for key, value in outputs.items()}) == {}
    # a ratio of pixel counts, in which noise moves a few pixels over the threshold
    stability = stability_score(low_res.numpy()).reshape(-1)
    np.testing.assert_allclose(stability, case["stability_score_4"]["samples"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("multimask", "columns"), [(True, [1, 2, 3]), (False, [0])])
def test_metas_signature_selects_masks(
    parts: nn.ModuleDict, image: Tensor, multimask: bool, columns: list[int]
) -> None:
    decoder = parts["mask_decoder"]
    image_pe, sparse, dense = embedded(parts, PROMPTS["batch3"])
    masks, iou = decoder(image, image_pe, sparse, dense, multimask)
    all_iou, mask_tokens, keys = decoder.decode_tokens(image + dense, image_pe, sparse)
    torch.testing.assert_close(iou, all_iou[:, columns])
    torch.testing.assert_close(masks, decoder.upscale(mask_tokens, keys)[:, columns])


def test_mlp_has_no_activation_after_the_last_layer() -> None:
    mlp = Mlp(2, 3, 1, depth=1)
    nn.init.constant_(mlp.layers[0].get_parameter("weight"), -1)
    nn.init.zeros_(mlp.layers[0].get_parameter("bias"))
    assert mlp(torch.ones(1, 2)).item() == -2
