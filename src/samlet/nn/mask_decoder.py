"""SAM's mask decoder, in two halves: tokens and predicted IoU first, masks only for those who ask.

Source: `mask_decoder.py` of segment_anything. The halves are ours: the IoU head needs tokens alone, and upscaling
is a fifth of the work.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samlet.nn.layers import LayerNorm2d
from samlet.nn.two_way_transformer import TwoWayTransformer


class Mlp(nn.Module):
    """Linear layers with ReLU between them. [..., Ci] -> [..., Co]."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int, depth: int = 3) -> None:
        super().__init__()
        widths = [in_channels] + [hidden] * (depth - 1) + [out_channels]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise(widths)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class MaskDecoder(nn.Module):
    """Tokens of a prompt and the image embedding -> M masks and their predicted IoU (`ModelSpec` says which is which).

    M is `masks`, 4 in SAM; shapes below are SAM's.
    """

    def __init__(self, channels: int = 256, masks: int = 4) -> None:
        super().__init__()
        self.masks = masks
        self.transformer = TwoWayTransformer(channels=channels)
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(masks, channels)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 4, 2, 2),
            LayerNorm2d(channels // 4),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 4, channels // 8, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList([Mlp(channels, channels, channels // 8) for _ in range(masks)])
        self.iou_prediction_head = Mlp(channels, 256, masks)

    def decode_tokens(
        self, image: Tensor, image_pe: Tensor, sparse: Tensor, token_bias: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The first half, from image [P, 256, 64, 64] (with the dense prompt), image_pe [1, …] and sparse [P, T, 256].

        token_bias [P, 1, 1, 5 + T] masks absent tokens. Returns iou [P, 4], mask tokens [P, 4, 256] and the image
        as the transformer left it, [P, 4096, 256].
        """
        output_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([output_tokens.expand(sparse.shape[0], -1, -1), sparse], dim=1)
        tokens, keys = self.transformer(image, image_pe, tokens, token_bias)
        return self.iou_prediction_head(tokens[:, 0]), tokens[:, 1 : 1 + self.masks], keys

    def upscale(self, mask_tokens: Tensor, keys: Tensor) -> Tensor:
        """The second half. mask_tokens [P, 4, 256], keys [P, 4096, 256] -> low-resolution logits [P, 4, 256, 256]."""
        first, norm, act, second, _ = self.output_upscaling
        assert isinstance(first, nn.ConvTranspose2d)
        assert isinstance(norm, LayerNorm2d)
        assert isinstance(second, nn.ConvTranspose2d)
        side = int(keys.shape[1] ** 0.5)
        # Transposed convolutions whose windows do not overlap are products of each pixel; pixels are sorted at the end.
        pixels = _per_pixel(first, keys).unflatten(2, (4, -1))
        pixels = act(F.layer_norm(pixels, norm.normalized_shape, norm.weight, norm.bias, norm.eps))
        pixels = act(_per_pixel(second, pixels)).unflatten(3, (4, -1)).flatten(1, 3)
        tokens = zip(self.output_hypernetworks_mlps, mask_tokens.unbind(1), strict=True)
        logits = pixels @ torch.stack([mlp(token) for mlp, token in tokens], dim=2)
        prompts = keys.shape[0]  # len() would be a constant of an exported graph
        logits = logits.reshape(
            prompts, side, side, 2, 2, 2, 2, self.masks
        )  # y, x, y in 2, x in 2, y in 2, x in 2, mask
        return logits.permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(prompts, self.masks, 4 * side, 4 * side)

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Meta's signature: one image embedding [1, 256, 64, 64] for P prompts -> masks [P, 3 or 1, 256, 256], iou."""
        iou, tokens, keys = self.decode_tokens(
            image_embeddings + dense_prompt_embeddings, image_pe, sparse_prompt_embeddings
        )
        columns = slice(1, None) if multimask_output else slice(0, 1)
        return self.upscale(tokens, keys)[:, columns], iou[:, columns]


def _per_pixel(layer: nn.ConvTranspose2d, pixels: Tensor) -> Tensor:
    """A 2x2 transposed convolution of stride 2 on pixels [..., Ci]: the four [..., 4 * Co] each becomes, rows first."""
    assert layer.bias is not None
    return F.linear(pixels, layer.weight.permute(2, 3, 1, 0).flatten(0, 2), layer.bias.repeat(4))
