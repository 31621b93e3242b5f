"""A prompt with an image to itself gets what the plain decoder gives."""

from __future__ import annotations

import pytest
import torch
from tests.tiny import tiny_model
from torch import Tensor

from samlet.nn.lone_decoder import LoneDecoder, nothing_mixed
from samlet.nn.mask_upscaler import MaskUpscaler
from samlet.nn.sam import token_bias

POINTS = torch.tensor([[[300.0, 200], [700, 40], [0, 0]]])
LABELS = {"a click": [1, -1, -10], "a box": [2, 3, -10], "two clicks and padding": [1, 0, -1], "no token": [-10] * 3}


def answers(image: Tensor, labels: Tensor, exporting: bool) -> tuple[list[Tensor], list[Tensor]]:
    """IoU, mask tokens and logits, ours and the plain decoder's; `exporting` takes the ways that ONNX is given."""
    model = tiny_model()
    decoder, encoder = model.mask_decoder, model.prompt_encoder
    sparse = encoder.embed_tokens(POINTS, labels)
    bias = token_bias(labels, sparse.dtype, decoder)
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        iou, tokens, keys = decoder.decode_tokens(image, encoder.get_dense_pe(), sparse, bias)
        plain = [iou, tokens, decoder.upscale(tokens, keys)]
        patch.setattr(torch.compiler, "is_exporting", lambda: exporting)
        iou, tokens, upscaled = LoneDecoder(decoder)(image, encoder.get_dense_pe(), sparse, bias)
        masks = MaskUpscaler(decoder)(upscaled, nothing_mixed(upscaled, 256), tokens, torch.arange(4))
    return [iou, tokens, masks], plain


def image(offset: float = 0.0) -> Tensor:
    return torch.randn(1, 256, 64, 64, generator=torch.Generator().manual_seed(0)) + offset


@pytest.mark.parametrize("exporting", [False, True], ids=["in torch", "in ONNX"])
@pytest.mark.parametrize("offset", [0.0, 3.0])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_every_kind_of_prompt(labels: list[int], offset: float, exporting: bool) -> None:
    ours, plain = answers(image(offset), torch.tensor([labels]), exporting)
    assert all((a - b).abs().max() < 2e-4 * b.std() for a, b in zip(ours, plain, strict=True))


def test_the_image_matters() -> None:
    """The test above can fail."""
    labels = torch.tensor([LABELS["a click"]])
    assert (answers(image(), labels, False)[0][1] - answers(image(3), labels, False)[0][1]).abs().max() > 1e-2
