"""segment_anything's order of operations and the model's own give the same masks."""

from __future__ import annotations

import torch
from tests.tiny import tiny_model

from samlet.benchmarking.reference.decoder import decode


@torch.no_grad()
def test_both_orders_agree() -> None:
    model = tiny_model()
    generator = torch.Generator().manual_seed(0)
    embedding = torch.randn(1, 256, 64, 64, generator=generator)
    points_xy, labels = torch.rand(3, 2, 2, generator=generator) * 1024, torch.tensor([[1, -1], [1, 0], [2, 3]])
    iou, tokens, keys = model.decode_tokens(embedding, points_xy, labels)
    expected = model.upscale(tokens, keys)
    encoder = model.prompt_encoder
    sparse = encoder.embed_tokens(points_xy, labels)
    logits, plain_iou = decode(model.mask_decoder, embedding + encoder.no_mask(1), encoder.get_dense_pe(), sparse)
    assert (logits - expected).abs().max() < 1e-4 * expected.std()
    assert (plain_iou - iou).abs().max() < 1e-4
