"""SAM's prompt encoder: points, boxes and a mask hint become tokens and a dense map.

Knows token labels and the prompt canvas; knows nothing of images, resizing or masks.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from samlet.nn.layers import LayerNorm2d
from samlet.prompts import PointLabel


class FourierPositions(nn.Module):
    """Random Fourier features of positions (x, y) in [0, 1]. Source: `PositionEmbeddingRandom` of segment_anything."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, features))

    def encode(self, xy: Tensor) -> Tensor:
        """xy [..., 2] in [0, 1] -> [..., 2 * features] of the matrix's dtype: sines first, then cosines.

        Angles are computed in float32 at least: half a pixel of the canvas is less than bfloat16 can tell.
        """
        matrix = self.positional_encoding_gaussian_matrix
        precise = torch.promote_types(matrix.dtype, torch.float32)
        angles = 2 * math.pi * ((2 * xy.to(precise) - 1) @ matrix.to(precise))
        return torch.cat([angles.sin(), angles.cos()], dim=-1).to(matrix.dtype)

    def forward(self, size_hw: tuple[int, int]) -> Tensor:
        """The encoding of every cell center of a grid: [2 * features, H, W]."""
        height, width = size_hw
        device = self.positional_encoding_gaussian_matrix.device
        y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) / height
        x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) / width
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        return self.encode(torch.stack([grid_x, grid_y], dim=-1)).permute(2, 0, 1)


class PromptEncoder(nn.Module):
    """Embeds prompts given in pixels of the prompt canvas. Source: `PromptEncoder` of segment_anything.

    `prompt_canvas` is 1024 in every SAM-like model, whatever the encoder's own canvas is.
    """

    def __init__(self, channels: int = 256, grid: int = 64, prompt_canvas: int = 1024, mask_channels: int = 16) -> None:
        super().__init__()
        self.channels, self.grid, self.prompt_canvas = channels, grid, prompt_canvas
        self.pe_layer = FourierPositions(channels // 2)
        self.point_embeddings = nn.ModuleList([nn.Embedding(1, channels) for _ in range(4)])
        self.not_a_point_embed = nn.Embedding(1, channels)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_channels // 4, 2, 2),
            LayerNorm2d(mask_channels // 4),
            nn.GELU(),
            nn.Conv2d(mask_channels // 4, mask_channels, 2, 2),
            LayerNorm2d(mask_channels),
            nn.GELU(),
            nn.Conv2d(mask_channels, channels, 1),
        )
        self.no_mask_embed = nn.Embedding(1, channels)

    def get_dense_pe(self) -> Tensor:
        """The positional encoding of the embedding grid: [1, 256, 64, 64]."""
        return self.pe_layer((self.grid, self.grid))[None]

    def embed_tokens(self, points_xy: Tensor, labels: Tensor) -> Tensor:
        """points_xy [P, T, 2] in prompt-canvas pixels and labels [P, T] -> [P, T, 256].

        Labels 0 to 3 add their learned vector to the position; -1 (padding) is its learned vector alone;
        any other label is a zero token (EdgeSAM's -2, or one that attention masks out).
        """
        positions = self.pe_layer.encode((points_xy + 0.5) / self.prompt_canvas)
        tokens = positions * (labels >= 0)[..., None].to(positions.dtype)
        for label, vector in enumerate(self.point_embeddings.parameters()):
            tokens = tokens + (labels == label)[..., None].to(tokens.dtype) * vector
        return tokens + (labels == PointLabel.PADDING)[..., None].to(tokens.dtype) * self.not_a_point_embed.weight

    def embed_mask(self, mask_hint: Tensor) -> Tensor:
        """Low-resolution logits [P, 1, 256, 256] -> dense map [P, 256, 64, 64]."""
        return self.mask_downscaling(mask_hint)

    def no_mask(self, prompts: int) -> Tensor:
        """The dense map of `prompts` prompts without a mask hint: [P, 256, 64, 64] (a view, not a copy)."""
        return self.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(prompts, -1, self.grid, self.grid)

    def forward(
        self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Meta's signature: points ([P, K, 2], [P, K]), boxes [P, 4], masks [P, 1, 256, 256] -> sparse, dense.

        Sparse is [P, T, 256], dense [P, 256, 64, 64].

        Points without a box get one padding token, as in segment_anything; a box is two tokens after the points.
        """
        given = [value for value in (points[0] if points else None, boxes, masks) if value is not None]
        prompts = given[0].shape[0] if given else 1
        tokens_xy, labels = self._tokens(points, boxes, prompts)
        dense = self.no_mask(prompts) if masks is None else self.embed_mask(masks)
        return self.embed_tokens(tokens_xy, labels), dense

    def _tokens(
        self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, prompts: int
    ) -> tuple[Tensor, Tensor]:
        like = self.no_mask_embed.weight
        parts_xy, parts_labels = [like.new_zeros(prompts, 0, 2)], [like.new_zeros(prompts, 0)]
        if points is not None:
            parts_xy.append(points[0].to(like.dtype))
            parts_labels.append(points[1].to(like.dtype))
        if boxes is not None:
            corners = like.new_tensor([PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT])
            parts_xy.append(boxes.reshape(-1, 2, 2).to(like.dtype))
            parts_labels.append(corners.expand(prompts, 2))
        elif points is not None:
            parts_xy.append(like.new_zeros(prompts, 1, 2))
            parts_labels.append(like.new_full((prompts, 1), PointLabel.PADDING))
        return torch.cat(parts_xy, dim=1), torch.cat(parts_labels, dim=1)
