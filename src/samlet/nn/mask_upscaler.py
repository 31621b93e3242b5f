"""Masks from an image that was never made: the last steps of SAM's mask decoder on the pieces of `prompt_decoder`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samlet.nn.mask_decoder import MaskDecoder
from samlet.nn.prompt_decoder import Mixture, blocks_of, first_upscaling, fixed

PIXELS_AT_ONCE = 512  # of an image that torch upscales on a CPU: their arrays of a megabyte stay in its cache


class MaskUpscaler(nn.Module):
    """`MaskDecoder.upscale` for an image in pieces: `ImageSide.upscaled`, a `Mixture` and mask tokens -> logits.

    Only the masks in `columns` int64 [K] are made: [P, K, 256, 256].
    """

    def __init__(self, decoder: MaskDecoder) -> None:
        super().__init__()
        first, norm, _, second, _ = decoder.output_upscaling
        assert isinstance(first, nn.ConvTranspose2d)
        assert isinstance(norm, nn.LayerNorm)
        assert isinstance(second, nn.ConvTranspose2d)
        assert first.bias is not None
        assert second.bias is not None
        self.decoder = decoder
        self.norm: nn.LayerNorm = norm
        matrix = first_upscaling(decoder)
        shift = blocks_of(decoder)[1].norm4.bias
        self.first = fixed(matrix.T)
        self.first_bias = fixed(matrix @ shift + first.bias.repeat(4))
        self.second = fixed(second.weight.permute(0, 2, 3, 1).flatten(1))
        self.second_bias = fixed(second.bias.repeat(4))

    def forward(self, upscaled: Tensor, mixture: Mixture, mask_tokens: Tensor, columns: Tensor) -> Tensor:
        """mask_tokens [P, 4, 256] -> logits [P, K, 256, 256]."""
        prompts, side = mask_tokens.shape[0], int(upscaled.shape[0] ** 0.5)
        # The bias joins the product as one more vector, of weight one.
        vectors = torch.cat([mixture.vectors @ self.first, self.first_bias.expand(prompts, 1, -1)], dim=1)
        weights = torch.cat([mixture.weights, torch.ones_like(mixture.scale)], dim=1)
        tokens = zip(self.decoder.output_hypernetworks_mlps, mask_tokens.unbind(1), strict=True)
        directions = torch.stack([mlp(token) for mlp, token in tokens], dim=1)[:, columns].mT
        if torch.compiler.is_exporting() or upscaled.device.type != "cpu":
            logits = self._logits(weights, mixture.scale, upscaled, vectors, directions)
        else:
            few = PIXELS_AT_ONCE
            parts = zip(weights.split(few, -1), mixture.scale.split(few, -1), upscaled.split(few), strict=True)
            logits = torch.cat([self._logits(w, s, u, vectors, directions) for w, s, u in parts], dim=1)
        # From y, x, y in 2, x in 2, y in 2 of that, x in 2 of that, mask to mask, y, x.
        logits = logits.reshape(prompts, side, side, 2, 2, 2, 2, columns.shape[0]).permute(0, 7, 1, 3, 5, 2, 4, 6)
        return logits.reshape(prompts, columns.shape[0], 4 * side, 4 * side)

    def _logits(self, weights: Tensor, scale: Tensor, upscaled: Tensor, vectors: Tensor, directions: Tensor) -> Tensor:
        """Logits [P, 16 * n, K] of n of the pixels: weights [P, R, n], scale [P, 1, n], upscaled [n, 4 * 64]."""
        prompts = weights.shape[0]
        pixels = (weights.mT @ vectors).add_(scale.mT * upscaled)
        pixels = pixels.reshape(prompts, -1, self.second.shape[0])
        pixels = F.layer_norm(pixels, self.norm.normalized_shape, self.norm.weight, self.norm.bias, self.norm.eps)
        pixels = F.gelu(F.gelu(pixels) @ self.second + self.second_bias)
        return pixels.reshape(prompts, -1, directions.shape[1]) @ directions
