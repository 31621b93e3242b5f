"""SAM's mask decoder with its work moved from the pixels of every prompt to the image: the same masks for a quarter.

A prompt changes the image in two attention steps, and each adds to every pixel a mix of a few vectors: one for each
head and token. So the image of a prompt is never made. With X the image [N pixels, C], X1 = norm(X + A1 M1), where A1
[N, heads * tokens] are attention weights and M1 [heads * tokens, C] the projected values of the tokens. A layer norm
centers, multiplies by one number r for each pixel, scales and shifts; hence every product of the official decoder
splits,

    X1 W = r (X W') + r A1 (M1 W') + constant,

into X W', the same for all prompts of an image (`ImageProjector`), and a product as wide as heads * tokens
(`PromptDecoder`). The number r follows from squared lengths, which split the same way. `MaskUpscaler` starts from the
same pieces. Counts of operations: docs/performance.md. The weights are those of a `MaskDecoder`, multiplied out here.

Sums of a megabyte are made in place, as a new array takes torch about as long as its numbers; but not of views, which
the exporter to ONNX would reshape there and back.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samlet.nn.mask_decoder import MaskDecoder
from samlet.nn.prompt_encoder import PromptEncoder
from samlet.nn.two_way_transformer import Attention, TwoWayBlock

HEADS = 8  # of every attention; those between tokens and image have 16 channels each in SAM


class ImageSide(NamedTuple):
    """What all prompts of an image share; H heads of D channels, N pixels. 31 MB in float32.

    Numbered by block; 3 is the final attention of the tokens. `keys`, `queries`, `cross`: [H, D, N] (the first half of
    `cross2` [2 H, D, N] meets the token values of block 1); `position_…` are the parts that come from positions;
    queries of block 1 and those of positions have a row of ones more, for the token bias. `values`: [H, N, D].
    `lengths` [3, N]: the image's parts of squared lengths. `upscaled` [N, 4 * 64]: its part of the first upscaling.
    """

    keys1: Tensor
    queries1: Tensor
    cross1: Tensor
    keys2: Tensor
    queries2: Tensor
    cross2: Tensor
    keys3: Tensor
    position_keys2: Tensor
    position_queries2: Tensor
    position_keys3: Tensor
    values1: Tensor
    values2: Tensor
    values3: Tensor
    lengths: Tensor
    upscaled: Tensor


class Mixture(NamedTuple):
    """An image X = r X' + weights^T vectors: r `scale` [P, 1, N], `weights` [P, R, N], `vectors` [P, R, C].

    X' is the part of `ImageSide`, the same for all prompts. What the norm's shift adds is not in it.
    """

    weights: Tensor
    vectors: Tensor
    scale: Tensor


class ImageProjector(nn.Module):
    """The image with its dense prompt, [1, C, 64, 64] -> `ImageSide`."""

    def __init__(self, decoder: MaskDecoder, prompt_encoder: PromptEncoder) -> None:
        super().__init__()
        first, second = blocks_of(decoder)
        token_to_image = first.cross_attn_token_to_image, second.cross_attn_token_to_image
        image_to_token = first.cross_attn_image_to_token, second.cross_attn_image_to_token
        last = decoder.transformer.final_attn_token_to_image
        self.prompt_encoder = prompt_encoder
        self.first_token_to_image, self.first_image_to_token = token_to_image[0], image_to_token[0]
        self.position_keys = fixed(
            torch.cat([token_to_image[1].k_proj.weight, image_to_token[1].q_proj.weight, last.k_proj.weight])
        )
        shifted = image_to_token[1].q_proj.weight @ first.norm4.bias + image_to_token[1].q_proj.bias
        self.position_bias = fixed(F.pad(shifted, (len(shifted), len(shifted)))[:, None])
        # The norms as matrices that act on a column of channels: centered; then scaled; then centered again; and so on.
        centered = torch.eye(len(first.norm4.weight)).to(first.norm4.weight) - 1 / len(first.norm4.weight)
        scaled = first.norm4.weight[:, None] * centered
        recentered = centered @ scaled
        rescaled = second.norm4.weight[:, None] * recentered
        projections = image_to_token[0].out_proj.weight, image_to_token[1].out_proj.weight
        keys = [
            projections[0].T @ centered,
            token_to_image[1].k_proj.weight @ scaled,
            image_to_token[1].q_proj.weight @ scaled,
            projections[0].T @ scaled.T @ centered @ recentered,
            projections[1].T @ recentered,
            last.k_proj.weight @ rescaled,
        ]
        self.keys = fixed(torch.cat(keys))
        self.values = fixed(torch.cat([token_to_image[1].v_proj.weight @ scaled, last.v_proj.weight @ rescaled]).T)
        self.scale = fixed(first.norm4.weight)
        self.shift = fixed(_shift(decoder))
        self.upscaling = fixed((first_upscaling(decoder) @ rescaled).T)

    def forward(self, image: Tensor) -> ImageSide:
        """The first attention reads the image itself; what follows with the bias of image-to-token attention."""
        positions = self.prompt_encoder.get_dense_pe().flatten(2)[0]
        pixels = image.flatten(2)[0]
        placed = pixels + positions
        queries1 = _heads(
            self.first_image_to_token.q_proj.weight @ placed + self.first_image_to_token.q_proj.bias[:, None]
        )
        values1 = _by_head(self.first_token_to_image.v_proj(pixels.T))
        position_keys = self.position_keys @ positions + self.position_bias
        position_keys2, position_queries2, position_keys3 = (_heads(part) for part in position_keys.chunk(3))
        biased = pixels + self.first_image_to_token.out_proj.bias[:, None]
        centered = _centered(biased.T)
        rescaled = _centered(centered * self.scale)
        lengths = torch.stack([_length(centered), _length(rescaled), (rescaled * self.shift).mean(-1)])
        cross1, keys2, queries2, *cross2, keys3 = (_heads(part) for part in (self.keys @ biased).chunk(6))
        values2, values3 = (_by_head(part) for part in (biased.T @ self.values).chunk(2, dim=-1))
        return ImageSide(
            keys1=_heads(self.first_token_to_image.k_proj.weight @ placed),
            queries1=_with_ones(queries1),
            cross1=cross1,
            keys2=keys2,
            queries2=queries2,
            cross2=torch.cat(cross2),
            keys3=keys3,
            position_keys2=position_keys2,
            position_queries2=_with_ones(position_queries2),
            position_keys3=position_keys3,
            values1=values1,
            values2=values2,
            values3=values3,
            lengths=lengths,
            upscaled=biased.T @ self.upscaling,
        )


class PromptDecoder(nn.Module):
    """Tokens of P prompts about one image -> predicted IoU, mask tokens, and the image each prompt leaves behind."""

    def __init__(self, decoder: MaskDecoder) -> None:
        super().__init__()
        self.decoder = decoder
        self.shift = fixed(_shift(decoder))

    def forward(self, image: ImageSide, sparse: Tensor, token_bias: Tensor) -> tuple[Tensor, Tensor, Mixture]:
        """`sparse` [P, T, 256] and token_bias [P, 1, 1, 5 + T], which hides absent tokens.

        Returns iou [P, 4], mask tokens [P, 4, 256] and a `Mixture` of rank R = 2 * H * (5 + T).
        """
        decoder, transformer = self.decoder, self.decoder.transformer
        first, second = blocks_of(decoder)
        output_tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        token_pe = torch.cat([output_tokens.expand(sparse.shape[0], -1, -1), sparse], dim=1)

        tokens = first.norm1(first.self_attn(token_pe, token_pe, token_pe, token_bias))
        token_to_image = first.cross_attn_token_to_image
        queries = _parts(_queries(token_to_image, tokens + token_pe))
        attended = _whole([(part @ image.keys1).softmax(-1) @ image.values1 for part in queries])
        tokens = _norm_and_mlp(first, tokens, token_to_image.out_proj(_joined(attended)))
        image_to_token = first.cross_attn_image_to_token
        keys = _parts(_keys(image_to_token, tokens + token_pe, token_bias))
        token_values1 = _parts(_by_head(image_to_token.v_proj(tokens)))
        mixtures = [self._image_after_block1(image, *part) for part in zip(keys, token_values1, strict=True)]

        queries = tokens + token_pe
        tokens = second.norm1(tokens + second.self_attn(queries, queries, tokens, token_bias))
        token_to_image = second.cross_attn_token_to_image
        shared = image.keys2, image.position_keys2, image.values2
        update = _attend_to_image(token_to_image, tokens + token_pe, mixtures, shared, first.norm4.bias)
        tokens = _norm_and_mlp(second, tokens, update)
        image_to_token = second.cross_attn_image_to_token
        keys = _parts(_keys(image_to_token, tokens + token_pe, token_bias))
        token_values2 = _parts(_by_head(image_to_token.v_proj(tokens)))
        parts = zip(mixtures, keys, token_values1, token_values2, strict=True)
        mixtures = [self._image_after_block2(image, *part) for part in parts]

        token_to_image = transformer.final_attn_token_to_image
        shared = image.keys3, image.position_keys3, image.values3
        tokens = tokens + _attend_to_image(token_to_image, tokens + token_pe, mixtures, shared, second.norm4.bias)
        tokens = transformer.norm_final_attn(tokens)
        mixture = Mixture(*(_whole(list(fields)) for fields in zip(*mixtures, strict=True)))
        return decoder.iou_prediction_head(tokens[:, 0]), tokens[:, 1 : 1 + decoder.masks], mixture

    def _image_after_block1(self, image: ImageSide, keys: Tensor, token_values: Tensor) -> Mixture:
        """The image after block 1, whose pixels attend to keys [P, H, T, D + 1] and values [P, H, T, D] of tokens.

        The squared length of a pixel of X + A M is that of X, plus A (M M^T A + 2 M X^T); M X^T is the token values
        times a projection of the image.
        """
        block = blocks_of(self.decoder)[0]
        weights = _softmax_over_tokens(keys @ image.queries1)
        vectors = _projected_values(block.cross_attn_image_to_token, token_values)
        crossed = (vectors @ vectors.mT @ weights).add_((2 * token_values @ image.cross1).flatten(1, 2))
        variance = image.lengths[0] + _sum_over_rows(crossed.mul_(weights)) / vectors.shape[-1]
        scale = (variance + block.norm4.eps).rsqrt()
        return Mixture(weights * scale, vectors * block.norm4.weight, scale)

    def _image_after_block2(
        self, image: ImageSide, mixture1: Mixture, keys: Tensor, token_values1: Tensor, token_values2: Tensor
    ) -> Mixture:
        """The image after block 2, from that after block 1 and the keys [P, H, T, D + 1] of the tokens since.

        Weights sum to one in each head, so what is added to every pixel can be a part of the values of every token.
        """
        block = blocks_of(self.decoder)[1]
        image_to_token = block.cross_attn_image_to_token
        scores = _scores(keys[..., :-1], image_to_token.q_proj.weight, mixture1, image.queries2)
        scores = scores.add_((keys @ image.position_queries2).flatten(1, 2))
        weights = _softmax_over_tokens(scores.unflatten(1, (HEADS, -1)))
        before = _centered(mixture1.vectors)
        added = _projected_values(image_to_token, token_values2)
        both = torch.cat([mixture1.weights, weights], dim=1)
        lengths = torch.cat([before, added], dim=1) @ torch.cat([before, added + 2 / HEADS * self.shift], dim=1).mT
        crossed = (torch.cat([token_values1, token_values2], dim=1) @ image.cross2).flatten(1, 2)
        crossed = (2 * mixture1.scale * crossed).add_(lengths @ both)
        variance = mixture1.scale * (mixture1.scale * image.lengths[1] + 2 * image.lengths[2]) + _length(self.shift)
        variance = variance + _sum_over_rows(crossed.mul_(both)) / before.shape[-1]
        root = (variance + block.norm4.eps).rsqrt()
        vectors = torch.cat([before, added + self.shift / HEADS], dim=1)
        return Mixture(both.mul_(root), vectors * block.norm4.weight, mixture1.scale * root)


def _attend_to_image(
    attention: Attention, tokens: Tensor, mixtures: list[Mixture], shared: tuple[Tensor, ...], shift: Tensor
) -> Tensor:
    """The attention of tokens [P, T, C] on images in pieces -> [P, T, C].

    `shared` are the keys, keys of positions and values of all. A shift of all keys moves the scores of a query alike
    and is left out; a shift of all values is added once.
    """
    parts = zip(_parts(_queries(attention, tokens)), mixtures, strict=True)
    attended = _whole([_seen(attention, queries, mixture, *shared) for queries, mixture in parts])
    return attention.out_proj(_joined(attended) + attention.v_proj(shift))


def _seen(
    attention: Attention, queries: Tensor, image: Mixture, keys: Tensor, position_keys: Tensor, values: Tensor
) -> Tensor:
    """What queries [P, H, T, D] see of the values of an image in pieces: [P, H, T, D]."""
    scores = _scores(queries, attention.k_proj.weight, image, keys).add_((queries @ position_keys).flatten(1, 2))
    weights = scores.softmax(-1)
    shared = (weights * image.scale).unflatten(1, (HEADS, -1)) @ values
    mixed = (weights @ image.weights.mT).unflatten(1, (HEADS, -1)) @ _by_head(image.vectors @ attention.v_proj.weight.T)
    return shared + mixed


def _scores(tokens: Tensor, weight: Tensor, image: Mixture, shared: Tensor) -> Tensor:
    """Products of tokens [P, H, T, D] with all pixels of an image in pieces, projected by `weight`: [P, H * T, N]."""
    mixed = (tokens @ _by_head(image.vectors @ weight.T).mT).flatten(1, 2) @ image.weights
    return (image.scale * (tokens @ shared).flatten(1, 2)).add_(mixed)


def _parts(tensor: Tensor) -> list[Tensor]:
    """[P, ...] as its work on an image is done: on a CPU prompt by prompt, as the arrays of one stay in its cache.

    Torch would also copy what all prompts share. What tokens alone need is read once for all of them.
    """
    if torch.compiler.is_exporting() or tensor.device.type != "cpu":
        return [tensor]
    return list(tensor.split(1))


def _whole(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _norm_and_mlp(block: TwoWayBlock, tokens: Tensor, update: Tensor) -> Tensor:
    tokens = block.norm2(tokens + update)
    return block.norm3(tokens + block.mlp(tokens))


def _queries(attention: Attention, tokens: Tensor) -> Tensor:
    """[P, T, C] -> [P, H, T, D], scaled."""
    return _by_head(attention.q_proj(tokens)) * attention.scale


def _keys(attention: Attention, tokens: Tensor, token_bias: Tensor) -> Tensor:
    """[P, T, C] -> [P, H, T, D + 1], scaled; the last channel is the bias of the token."""
    keys = _by_head(attention.k_proj(tokens)) * attention.scale
    return torch.cat([keys, token_bias.transpose(2, 3).expand(-1, HEADS, -1, -1)], dim=-1)


def _softmax_over_tokens(scores: Tensor) -> Tensor:
    """Softmax over tokens of scores [P, H, T, N]: [P, H * T, N].

    Written out, as it is four times faster in ONNX Runtime than its own along an axis that is not the last.
    """
    powers = (scores - scores.amax(2, keepdim=True)).exp_()
    return powers.div_(_sum_over_rows(powers)).flatten(1, 2)


def _sum_over_rows(rows: Tensor) -> Tensor:
    """[..., R, N] -> [..., 1, N], as a product, for the reason that `_softmax_over_tokens` gives."""
    return torch.ones_like(rows[..., :1]).mT @ rows


def _projected_values(attention: Attention, values: Tensor) -> Tensor:
    """What tokens add to a pixel that attends to them, centered: [P, H, T, D] -> [P, H * T, C]."""
    return _centered((values @ attention.out_proj.weight.T.unflatten(0, (HEADS, -1))).flatten(1, 2))


def _by_head(rows: Tensor) -> Tensor:
    """[..., T, H * D] -> [..., H, T, D]."""
    return rows.unflatten(-1, (HEADS, -1)).transpose(-3, -2)


def _joined(heads: Tensor) -> Tensor:
    """[..., H, T, D] -> [..., T, H * D]."""
    return heads.transpose(-3, -2).flatten(-2)


def _heads(rows: Tensor) -> Tensor:
    """[H * D, N] -> [H, D, N]."""
    return rows.unflatten(0, (HEADS, -1))


def _with_ones(heads: Tensor) -> Tensor:
    """[H, D, N] -> [H, D + 1, N]."""
    return torch.cat([heads, torch.ones_like(heads[:, :1])], dim=1)


def _centered(rows: Tensor) -> Tensor:
    return rows - rows.mean(-1, keepdim=True)


def _length(rows: Tensor) -> Tensor:
    return rows.square().mean(-1)


def blocks_of(decoder: MaskDecoder) -> tuple[TwoWayBlock, TwoWayBlock]:
    """The two blocks of its transformer."""
    first, second = decoder.transformer.layers
    assert isinstance(first, TwoWayBlock)
    assert isinstance(second, TwoWayBlock)
    return first, second


def _shift(decoder: MaskDecoder) -> Tensor:
    """What is added to every pixel between the norms of blocks 1 and 2, centered: [C]."""
    first, second = blocks_of(decoder)
    return _centered(first.norm4.bias + second.cross_attn_image_to_token.out_proj.bias)


def first_upscaling(decoder: MaskDecoder) -> Tensor:
    """The first transposed convolution as a matrix [4 * 64, C]: rows are y in 2, x in 2, channel."""
    first = decoder.output_upscaling[0]
    assert isinstance(first, nn.ConvTranspose2d)
    return first.weight.permute(2, 3, 1, 0).flatten(0, 2)


def fixed(tensor: Tensor) -> nn.Parameter:
    """Weights made of others."""
    return nn.Parameter(tensor.detach().clone(), requires_grad=False)
