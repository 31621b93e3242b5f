"""The decoder behind a model: tokens by label, many images and ragged prompts in one call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tests import filler, parity
from torch import Tensor

from samlet.geometry.frames import ImageFrame
from samlet.geometry.regions import stability_score
from samlet.models import Sam, create
from samlet.nn.mask_decoder import MaskDecoder
from samlet.nn.sam import token_bias
from samlet.prompts import ABSENT_LABEL, Prompts

NUMBERS = parity.numbers("mask-decoder")
PIXEL_NOISE = 1e-4  # stability and area are pixel counts: noise moves a few pixels over the threshold
FRAME = ImageFrame((1024, 1024), 1024)


@pytest.fixture(scope="module")
def model() -> Sam:
    """Any model whose decoder keeps SAM's norm eps; its encoder is not run."""
    return filler.fill_(create("mobile-sam"))


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.from_numpy(filler.array("embedding", 1, 256, 64, 64))


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def decode(model: Sam, image: Tensor, case: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Low-resolution logits and IoU of a case of tokens."""
    mask = case.get("mask_input") and torch.from_numpy(filler.array(case["mask_input"], 1, 256, 256))
    points_xy, labels = torch.tensor(case["points_xy"]).float(), torch.tensor(case["labels"])
    iou, tokens, keys = model.decode_tokens(image, points_xy, labels, mask)
    return model.upscale(tokens, keys), iou


@pytest.mark.parametrize("name", NUMBERS["tokens"])
def test_tokens(model: Sam, image: Tensor, name: str) -> None:
    """EdgeSAM's label -2, a box turned into padding, and what its exported decoder computes."""
    case = NUMBERS["tokens"][name]
    low_res, iou = decode(model, image, case)
    assert parity.wrong({"low_res": (low_res, case["low_res"]), "iou": (iou, case["iou"])}) == {}
    if "stability" in case:
        stability = stability_score(low_res.numpy()).reshape(-1)
        np.testing.assert_allclose(stability, case["stability"]["samples"], rtol=0, atol=PIXEL_NOISE)


@pytest.mark.parametrize("name", NUMBERS["whole_decoder"])
def test_masks_at_image_size(model: Sam, image: Tensor, name: str) -> None:
    """What Meta's exported decoder computes: masks in the image, stability, areas, and the best of three."""
    case = NUMBERS["whole_decoder"][name]
    low_res, iou = decode(model, image, case)
    logits = ImageFrame(tuple(case["size_hw"]), 1024).logits_to_image(low_res.numpy())
    best = 1 + int(iou[0, 1:].argmax())
    outputs = {
        "low_res": low_res,
        "logits": logits,
        "iou": iou,
        "best_low_res": low_res[:, best : best + 1],
    }
    assert parity.wrong({key: (value, case[key]) for key, value in outputs.items()}) == {}
    assert iou[0, best].item() == pytest.approx(case["best_iou"], abs=parity.ONE_VALUE_TOLERANCE)
    pixels = logits[0].size / 4
    np.testing.assert_allclose(
        np.count_nonzero(logits > 0, axis=(2, 3))[0], case["areas_px"], rtol=0, atol=PIXEL_NOISE * pixels
    )
    np.testing.assert_allclose(
        stability_score(logits).reshape(-1), case["stability"]["samples"], rtol=0, atol=PIXEL_NOISE
    )


def ragged() -> list[Prompts]:
    """Prompts of 2 to 5 tokens."""
    return [
        Prompts.points([[320, 240]]),
        Prompts.points([[640, 480], [100, 900], [5, 5]], [1, 0, 0]),
        Prompts.boxes([160, 128, 672, 576]),
        Prompts.boxes([10, 20, 1000, 1010], [[500, 500], [20, 30], [900, 3]], [1, 0, 1]),
    ]


def tokens_of(prompts: Prompts) -> tuple[Tensor, Tensor]:
    points_xy, labels = prompts.tokens()
    return torch.from_numpy(FRAME.to_prompt(points_xy)), torch.from_numpy(labels)


@pytest.mark.parametrize("hinted", [False, True])
def test_ragged_prompts_over_several_images_equal_each_alone(model: Sam, hinted: bool) -> None:
    images = torch.from_numpy(filler.array("images", 3, 256, 64, 64))
    prompts, index = ragged(), torch.tensor([2, 0, 2, 1])
    hints = torch.from_numpy(filler.array("hints", 4, 256, 256)) if hinted else None
    together = model.decode_tokens(images, *tokens_of(Prompts.stack(prompts)), hints, index)
    masks = model.upscale(*together[1:])
    for row, prompt in enumerate(prompts):
        hint = None if hints is None else hints[row : row + 1]
        alone = model.decode_tokens(images[index[row], None], *tokens_of(prompt), hint)
        for ours, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[row : row + 1], expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(masks[row : row + 1], model.upscale(*alone[1:]), rtol=0, atol=1e-5)


def test_what_an_absent_token_holds_changes_no_bit(model: Sam, image: Tensor) -> None:
    labels = torch.tensor([[1, -1, ABSENT_LABEL, ABSENT_LABEL]])
    here = model.decode_tokens(image, torch.zeros(1, 4, 2), labels)
    there = model.decode_tokens(image, torch.tensor([[[0.0, 0], [0, 0], [700, 20], [3, 1000]]]), labels)
    for ours, expected in zip(here, there, strict=True):
        assert torch.equal(ours, expected)


def test_only_absent_tokens_are_hidden() -> None:
    bias = token_bias(torch.tensor([[1, -1, ABSENT_LABEL], [-2, 2, 3]]), torch.float32, MaskDecoder())
    assert bias.shape == (2, 1, 1, 8)
    assert bias.squeeze().ne(0).tolist() == [[False] * 7 + [True], [False] * 8]
    assert torch.isfinite(bias.half()).all()


def test_masks_of_some_prompts_are_those_of_all(model: Sam, image: Tensor) -> None:
    _, tokens, keys = model.decode_tokens(image, *tokens_of(Prompts.stack(ragged())))
    chosen = [3, 1]
    torch.testing.assert_close(model.upscale(tokens[chosen], keys[chosen]), model.upscale(tokens, keys)[chosen])


def test_no_prompts_give_no_masks(model: Sam, image: Tensor) -> None:
    iou, tokens, keys = model.decode_tokens(image, torch.zeros(0, 2, 2), torch.zeros(0, 2, dtype=torch.long))
    assert iou.shape == (0, 4)
    assert model.upscale(tokens, keys).shape == (0, 4, 256, 256)


def test_forward_is_encode_then_decode() -> None:
    model = filler.fill_(create("efficientvit-sam-b0"))
    pixels = torch.from_numpy(filler.array("encoder", 2, 3, 512, 512))
    points_xy, labels = tokens_of(Prompts.stack(ragged()[:2]))
    index = torch.tensor([1, 0])
    logits, iou = model(pixels, points_xy, labels, None, index)
    expected_iou, tokens, keys = model.decode_tokens(model.encode(pixels), points_xy, labels, None, index)
    torch.testing.assert_close(iou, expected_iou)
    torch.testing.assert_close(logits, model.upscale(tokens, keys))
