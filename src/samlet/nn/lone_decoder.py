"""The decoder for a prompt that shares its image with no other: a first click, a second look, a click with a hint.

What `ImageProjector` makes for all prompts of an image takes as long as three prompts. Here the image of the one prompt
is made instead, and the few tokens are projected to its pixels (`LookAtImage`, `AnswerToImage`) as in training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samlet.nn.mask_decoder import MaskDecoder
from samlet.nn.prompt_decoder import Mixture, blocks_of, first_upscaling, fixed
from samlet.nn.prompt_encoder import PromptEncoder


class LoneDecoder(nn.Module):
    """The image with its dense prompt [1, C, 64, 64] and one prompt -> predicted IoU, mask tokens, upscaled image."""

    def __init__(self, decoder: MaskDecoder, prompt_encoder: PromptEncoder) -> None:
        super().__init__()
        self.decoder, self.prompt_encoder = decoder, prompt_encoder
        matrix = first_upscaling(decoder)
        self.upscaling = fixed(matrix.T)
        self.shift = fixed(matrix @ blocks_of(decoder)[1].norm4.bias)  # `MaskUpscaler` adds it

    def forward(self, image: Tensor, sparse: Tensor, token_bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`sparse` [1, T, 256] and token_bias [1, 1, 1, 5 + T], which hides absent tokens.

        Returns iou [1, 4], mask tokens [1, 4, 256] and for `MaskUpscaler` an `upscaled` [N, 4 * 64] that is all of the
        image: its `Mixture` is `nothing_mixed`.
        """
        positions = self.prompt_encoder.get_dense_pe()
        iou, mask_tokens, keys = self.decoder.decode_tokens(image, positions, sparse, token_bias)
        return iou, mask_tokens, keys[0] @ self.upscaling - self.shift


def nothing_mixed(upscaled: Tensor, channels: int) -> Mixture:
    """The mixture of one prompt that leaves the image as it is."""
    weights, vectors = upscaled.new_zeros(1, 1, upscaled.shape[0]), upscaled.new_zeros(1, 1, channels)
    return Mixture(weights, vectors, torch.ones_like(weights))
