"""The decoder whose work is moved to the image gives what the plain one gives."""

from __future__ import annotations

import pytest
import torch
from tests.tiny import tiny_model
from torch import Tensor

from samlet.nn.mask_upscaler import MaskUpscaler
from samlet.nn.prompt_decoder import ImageProjector, Mixture, PromptDecoder, _softmax_over_tokens
from samlet.nn.sam import token_bias

POINTS = torch.tensor([[[300.0, 200], [0, 0], [0, 0]], [[5, 900], [700, 40], [0, 0]], [[10, 20], [500, 900], [60, 70]]])
LABELS = {
    "a click for each": torch.tensor([[1, -1, -10]] * 3),
    "ragged rows": torch.tensor([[1, -1, -10], [1, 0, -1], [2, 3, 1]]),
    "nothing but absent tokens": torch.full((3, 3), -10),
}


def image(offset: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, 256, 64, 64, generator=generator) + offset


def differences(points_xy: Tensor, labels: Tensor, embedding: Tensor, hint: Tensor | None = None) -> list[float]:
    """Of iou, mask tokens and logits: the largest difference, in standard deviations of the plain ones."""
    model = tiny_model()
    decoder, encoder = model.mask_decoder, model.prompt_encoder
    with torch.no_grad():
        iou, tokens, keys = model.decode_tokens(embedding, points_xy, labels, hint)
        plain = iou, tokens, model.upscale(tokens, keys)
        dense = encoder.no_mask(1) if hint is None else encoder.embed_mask(hint[:1, None])
        shared = ImageProjector(decoder, encoder)(embedding + dense)
        sparse = encoder.embed_tokens(points_xy, labels)
        iou, tokens, mixture = PromptDecoder(decoder)(shared, sparse, token_bias(labels, sparse.dtype, decoder))
        ours = iou, tokens, MaskUpscaler(decoder)(shared.upscaled, mixture, tokens, torch.arange(4))
    return [float((a - b).abs().max() / b.std()) for a, b in zip(ours, plain, strict=True)]


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_every_kind_of_prompt(labels: Tensor) -> None:
    assert max(differences(POINTS, labels, image())) < 2e-4


def test_an_image_far_from_zero() -> None:
    """Squared lengths are sums of large terms here."""
    assert max(differences(POINTS[:1], LABELS["a click for each"][:1], image(offset=3))) < 2e-3


def test_a_mask_hint_is_part_of_the_image() -> None:
    hint = torch.randn(1, 256, 256, generator=torch.Generator().manual_seed(1)) * 4
    assert max(differences(POINTS[:1], LABELS["ragged rows"][1:2], image(), hint)) < 2e-4


def test_only_the_wanted_masks_are_made() -> None:
    decoder = tiny_model().mask_decoder
    upscaler = MaskUpscaler(decoder)
    generator = torch.Generator().manual_seed(0)
    weights, vectors, tokens = (
        torch.randn(shape, generator=generator) for shape in ((2, 9, 16), (2, 9, 256), (2, 4, 256))
    )
    mixture = Mixture(weights, vectors, torch.ones(2, 1, 16))
    upscaled = torch.randn(16, 256, generator=generator)
    with torch.no_grad():
        every = upscaler(upscaled, mixture, tokens, torch.arange(4))
        some = upscaler(upscaled, mixture, tokens, torch.tensor([2, 0]))
    torch.testing.assert_close(some, every[:, [2, 0]])


@pytest.mark.parametrize("factor", [1.0, 30.0, 1e4])
def test_softmax_over_tokens_is_a_softmax_however_far_scores_are_apart(factor: float) -> None:
    scores = torch.randn(2, 8, 5, 7, generator=torch.Generator().manual_seed(0)) * factor
    torch.testing.assert_close(_softmax_over_tokens(scores), scores.softmax(2).flatten(1, 2), atol=1e-6, rtol=0)


def test_the_image_matters() -> None:
    """The test above can fail: another image gives other masks."""
    model, labels = tiny_model(), LABELS["a click for each"][:1]
    with torch.no_grad():
        first, second = (model.decode_tokens(each, POINTS[:1], labels)[1] for each in (image(), image(offset=3)))
    assert (first - second).abs().max() > 1e-2
