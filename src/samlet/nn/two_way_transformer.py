"""SAM's two-way transformer: a few tokens and the image attend to each other.

Source: `transformer.py` of segment_anything. Ours adds a token mask, so that prompts of unequal length
share one call and each gets what it would get alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PIXELS_AT_ONCE = 512  # of an image, on a CPU without gradients: their arrays of half a megabyte stay in its cache


def _by_pixels(work: Callable[[Tensor, Tensor], Tensor], *images: Tensor) -> Tensor:
    """work(*images) of images [P, N, C] whose pixels do not meet; on a CPU some at a time: they stay in its cache."""
    if torch.is_grad_enabled() or torch.compiler.is_exporting() or images[0].device.type != "cpu":
        return work(*images)
    parts = zip(*(image.split(PIXELS_AT_ONCE, 1) for image in images), strict=True)
    return torch.cat([work(*part) for part in parts], dim=1)


class Attention(nn.Module):
    """Multi-head attention, inner width channels / reduction: q [P, Nq, C], k and v [P, Nk, C] -> [P, Nq, C]."""

    def __init__(self, channels: int, heads: int, reduction: int = 1) -> None:
        super().__init__()
        inner = channels // reduction
        self.heads = heads
        self.scale = (inner // heads) ** -0.5
        self.q_proj = nn.Linear(channels, inner)
        self.k_proj = nn.Linear(channels, inner)
        self.v_proj = nn.Linear(channels, inner)
        self.out_proj = nn.Linear(inner, channels)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_bias: Tensor | None = None) -> Tensor:
        """`key_bias` [P, 1, 1, Nk] is added to the attention scores (large negative: that key does not exist)."""
        q, k, v = self._split(self.q_proj(q)), self._split(self.k_proj(k)), self._split(self.v_proj(v))
        if torch.compiler.is_exporting():  # ONNX would get the fused kernel's transpose as a dozen shape nodes
            scores = (q * self.scale) @ k.transpose(-1, -2)
            out = (scores if key_bias is None else scores + key_bias).softmax(dim=-1) @ v
        else:
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=key_bias)
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def attention_projections(self) -> list[nn.Linear]:
        """See `samlet.nn.parts`."""
        return [self.q_proj, self.k_proj, self.v_proj, self.out_proj]

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _by_head(self, projection: nn.Linear) -> Tensor:
        """Its weight [heads * D, C] as [heads, D, C]."""
        return projection.weight.unflatten(0, (self.heads, -1))


class LookAtImage(Attention):
    """Attention of a few tokens on many pixels: the same result without projecting every pixel, in half the work.

    With few queries, (q Wk^T) x is cheaper than q (Wk x), and (A x) Wv than A (x Wv).
    """

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_bias: Tensor | None = None) -> Tensor:
        """q [P, T, C]; k and v [P, N, C] -> [P, T, C]; every pixel exists, so there is no `key_bias`."""
        assert key_bias is None
        queries = self._split(self.q_proj(q)) * self.scale
        shape = queries.shape[1:3]
        # The bias of keys moves all scores of a query alike, so no result depends on it; it stays to have a gradient.
        moved = queries @ self.k_proj.bias.view(self.heads, -1, 1)
        scores = torch.baddbmm(moved.flatten(1, 2), (queries @ self._by_head(self.k_proj)).flatten(1, 2), k.mT)
        seen = (scores.softmax(dim=-1) @ v).unflatten(1, shape) @ self._by_head(self.v_proj).mT
        return self.out_proj(seen.transpose(1, 2).flatten(2) + self.v_proj.bias)


class AnswerToImage(Attention):
    """Attention of many pixels on a few tokens, without projecting every pixel, as in `LookAtImage`."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_bias: Tensor | None = None) -> Tensor:
        """q [P, N, C]; k and v [P, T, C] -> [P, N, C]. `key_bias` [P, 1, 1, T] as in `Attention`."""
        return self.answer(q, *self.tokens(k, v, key_bias))

    def tokens(self, k: Tensor, v: Tensor, key_bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """For every pixel: keys [P, H * T, C], their bias [P, H, T, 1], and what each token says [P, H * T, C]."""
        keys = self._split(self.k_proj(k)) * self.scale
        bias = keys @ self.q_proj.bias.view(self.heads, -1, 1)
        if key_bias is not None:
            bias = bias + key_bias.mT
        out = self.out_proj.weight.unflatten(1, (self.heads, -1)).permute(1, 2, 0)
        # Weights sum to one in each head, so a part of the bias in what each token says adds all of it to each pixel.
        said = (self._split(self.v_proj(v)) @ out).flatten(1, 2) + self.out_proj.bias / self.heads
        return (keys @ self._by_head(self.q_proj)).flatten(1, 2), bias, said

    def answer(self, q: Tensor, keys: Tensor, bias: Tensor, said: Tensor) -> Tensor:
        """Pixels q [P, N, C] and what `tokens` gives -> [P, N, C]."""
        if torch.compiler.is_exporting():  # ONNX Runtime's softmax is fast along the last axis alone
            scores = torch.baddbmm(bias.flatten(1).unsqueeze(1), q, keys.mT)
            weights = scores.unflatten(2, bias.shape[1:3]).softmax(dim=-1).flatten(2)
        else:  # torch's is slow along a last axis of a few numbers
            scores = torch.baddbmm(bias.flatten(1, 2), keys, q.mT)
            weights = scores.unflatten(1, bias.shape[1:3]).softmax(dim=2).flatten(1, 2).mT
        return weights @ said


class PixelNorm(nn.LayerNorm):
    """LayerNorm of many pixels [..., C], in ONNX by products with ones, as runtimes take twice the time for its own."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name nn.LayerNorm gives it
        """[..., C] -> [..., C]."""
        if not torch.compiler.is_exporting():
            return super().forward(input)
        share = torch.full_like(input[..., :1, :], 1 / input.shape[-1]).mT
        centered = input - input @ share
        scale = ((centered * centered) @ share + self.eps).rsqrt()
        return centered * scale * self.weight + self.bias


class TokenMlp(nn.Module):
    """Linear, ReLU, Linear on tokens [P, T, C]."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(channels, hidden)
        self.lin2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(F.relu(self.lin1(x)))


class TwoWayBlock(nn.Module):
    """Self-attention of the tokens, tokens to image, MLP, image to tokens; norms after each step.

    In the first block the self-attention sees no positions and replaces the tokens instead of adding to them.
    """

    def __init__(self, channels: int, heads: int, hidden: int, first: bool) -> None:
        super().__init__()
        self.self_attn = Attention(channels, heads)
        self.norm1 = nn.LayerNorm(channels)
        self.cross_attn_token_to_image = LookAtImage(channels, heads, reduction=2)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = TokenMlp(channels, hidden)
        self.norm3 = nn.LayerNorm(channels)
        self.norm4 = PixelNorm(channels)
        self.cross_attn_image_to_token = AnswerToImage(channels, heads, reduction=2)
        self.first = first

    def forward(
        self, tokens: Tensor, image: Tensor, token_pe: Tensor, image_pe: Tensor, token_bias: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """tokens and token_pe [P, T, C], image and image_pe [P, HW, C] -> tokens, image."""
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens, token_bias)
        else:
            q = tokens + token_pe
            tokens = tokens + self.self_attn(q, q, tokens, token_bias)
        tokens = self.norm1(tokens)
        image_key = image + image_pe
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_pe, image_key, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        attention = self.cross_attn_image_to_token
        said = attention.tokens(tokens + token_pe, tokens, token_bias)
        return tokens, _by_pixels(lambda x, key: self.norm4(attention.answer(key, *said).add_(x)), image, image_key)


class TwoWayTransformer(nn.Module):
    """Two blocks and a last look of the tokens at the image. Source: `TwoWayTransformer` of segment_anything."""

    def __init__(self, depth: int = 2, channels: int = 256, heads: int = 8, hidden: int = 2048) -> None:
        super().__init__()
        self.layers = nn.ModuleList([TwoWayBlock(channels, heads, hidden, first=i == 0) for i in range(depth)])
        self.final_attn_token_to_image = LookAtImage(channels, heads, reduction=2)
        self.norm_final_attn = nn.LayerNorm(channels)

    def forward(
        self, image: Tensor, image_pe: Tensor, tokens: Tensor, token_bias: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """image [P, C, H, W], image_pe [P or 1, C, H, W], tokens [P, T, C] -> tokens [P, T, C], image [P, HW, C]."""
        image, image_pe = image.flatten(2).transpose(1, 2), image_pe.flatten(2).transpose(1, 2)
        image = image.expand(tokens.shape[0], -1, -1)  # one hint may be meant for all prompts
        token_pe = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_pe, image_pe, token_bias)
        update = self.final_attn_token_to_image(tokens + token_pe, image + image_pe, image)
        return self.norm_final_attn(tokens + update), image
