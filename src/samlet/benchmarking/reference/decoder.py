"""The mask decoder in segment_anything's order of operations: every pixel of every prompt is projected to keys, values
and queries, and made anew after each block.

Only the reference of everything mode runs it, to measure against what its users run. Source: `transformer.py` and
`mask_decoder.py` of segment_anything.
"""

from __future__ import annotations

import torch
from torch import Tensor

from samlet.nn.mask_decoder import MaskDecoder
from samlet.nn.two_way_transformer import Attention, TwoWayBlock


def decode(decoder: MaskDecoder, image: Tensor, image_pe: Tensor, sparse: Tensor) -> tuple[Tensor, Tensor]:
    """One image with its dense prompt [1, 256, 64, 64], its positions [1, 256, 64, 64] and P prompts [P, T, 256].

    Returns low-resolution logits [P, 4, 256, 256] and predicted IoU [P, 4].
    """
    prompts, channels = sparse.shape[0], image.shape[1]
    output_tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    token_pe = torch.cat([output_tokens.expand(prompts, -1, -1), sparse], dim=1)
    pixels = image.repeat_interleave(prompts, dim=0).flatten(2).transpose(1, 2)
    pixels_pe = image_pe.repeat_interleave(prompts, dim=0).flatten(2).transpose(1, 2)
    tokens = token_pe
    for block in decoder.transformer.layers:
        assert isinstance(block, TwoWayBlock)
        tokens, pixels = _block(block, tokens, pixels, token_pe, pixels_pe)
    last = decoder.transformer.final_attn_token_to_image
    tokens = tokens + _attend(last, tokens + token_pe, pixels + pixels_pe, pixels)
    tokens = decoder.transformer.norm_final_attn(tokens)
    upscaled = decoder.output_upscaling(pixels.transpose(1, 2).reshape(prompts, channels, *image.shape[2:]))
    mlps = zip(decoder.output_hypernetworks_mlps, tokens[:, 1 : 1 + decoder.masks].unbind(1), strict=True)
    directions = torch.stack([mlp(token) for mlp, token in mlps], dim=1)
    logits = (directions @ upscaled.flatten(2)).unflatten(2, upscaled.shape[2:])
    return logits, decoder.iou_prediction_head(tokens[:, 0])


def _block(
    block: TwoWayBlock, tokens: Tensor, pixels: Tensor, token_pe: Tensor, pixels_pe: Tensor
) -> tuple[Tensor, Tensor]:
    if block.first:
        tokens = _attend(block.self_attn, tokens, tokens, tokens)
    else:
        placed = tokens + token_pe
        tokens = tokens + _attend(block.self_attn, placed, placed, tokens)
    tokens = block.norm1(tokens)
    tokens = tokens + _attend(block.cross_attn_token_to_image, tokens + token_pe, pixels + pixels_pe, pixels)
    tokens = block.norm2(tokens)
    tokens = block.norm3(tokens + block.mlp(tokens))
    update = _attend(block.cross_attn_image_to_token, pixels + pixels_pe, tokens + token_pe, tokens)
    return tokens, block.norm4(pixels + update)


def _attend(attention: Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Both sides are projected, whatever their number; weights are kept whole, as before torch had fused kernels."""
    q, k, v = (
        projection(x).unflatten(-1, (attention.heads, -1)).transpose(1, 2)
        for projection, x in ((attention.q_proj, q), (attention.k_proj, k), (attention.v_proj, v))
    )
    weights = (q @ k.transpose(-1, -2) * attention.scale).softmax(dim=-1)
    return attention.out_proj((weights @ v).transpose(1, 2).flatten(2))
