"""The decoder for a prompt that shares its image with no other: a first click, a second look, a click with a hint.

What `ImageProjector` makes for all prompts of an image takes as long as three prompts. Here the image of the one prompt
is made instead, and the few tokens are projected to its pixels (`LookAtImage`, `AnswerToImage`) as in training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samlet.nn.mask_decoder import MaskDecoder
from samlet.nn.prompt_decoder import Mixture, blocks_of, first_upscaling, fixed


class LoneDecoder(nn.Module):
    """The image with its dense prompt [1, C, 64, 64] and one prompt -> predicted IoU, mask tokens, upscaled image."""

    def __init__(self, decoder: MaskDecoder) -> None:
        super().__init__()
        self.decoder = decoder
        matrix = first_upscaling(decoder)
        self.upscaling = fixed(matrix.T)
        self.shift = fixed(matrix @ blocks_of(decoder)[1].norm4.bias)  # `MaskUpscaler` adds it

    def forward(
        self, image: Tensor, positions: Tensor, sparse: Tensor, token_bias: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`positions` [1, C, 64, 64] of the cells, `sparse` [1, T, 256], token_bias [1, 1, 1, 5 + T] (hides tokens).

        Returns iou [1, 4], mask tokens [1, 4, 256] and for `MaskUpscaler` an `upscaled` [N, 4 * 64] that is all of the
        image: its `Mixture` is `nothing_mixed`.
        """
        iou, mask_tokens, keys = self.decoder.decode_tokens(image, positions, sparse, token_bias)
        return iou, mask_tokens, (keys[0] @ self.upscaling).sub_(self.shift)


def nothing_mixed(upscaled: Tensor, channels: int) -> Mixture:
    """The mixture of one prompt that leaves the image as it is."""
    weights, vectors = upscaled.new_zeros(1, 1, upscaled.shape[0]), upscaled.new_zeros(1, 1, channels)
    return Mixture(weights, vectors, torch.ones_like(weights))
