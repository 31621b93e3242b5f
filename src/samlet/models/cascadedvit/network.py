"""CascadedViT: Microsoft's EfficientViT with the two FFNs of each block cut into chunks that feed each other.

Source: arXiv 2511.14111; vclab/cascaded-vit `classification/model/cascadedvit.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samlet.models.efficientvit_m.blocks import FFN
from samlet.models.efficientvit_m.network import SIZES, EfficientViTM, started_at_zero
from samlet.spec import ModelSpec

RATIO = 2.5  # of hidden channels
LAYOUTS = {"s": "m0", "m": "m2", "l": "m4", "xl": "m5"}


class CascadedChunkFFN(nn.Module):
    """Channels in chunks, each with an FFN of its own that also sees what the one before made: [N, C, H, W] -> same."""

    def __init__(self, channels: int, hidden: int, chunks: int = 2) -> None:
        super().__init__()
        self.chunk_ffn = nn.ModuleList([FFN(channels // chunks, hidden // chunks) for _ in range(chunks)])

    def forward(self, x: Tensor) -> Tensor:
        found: list[Tensor] = []
        for ffn, chunk in zip(self.chunk_ffn, x.chunk(len(self.chunk_ffn), dim=1), strict=True):
            found.append(ffn(chunk + found[-1] if found else chunk))
        return torch.cat(found, dim=1)


def build(
    spec: ModelSpec, size: str, classes: int, distilled: bool = False, chunks: int = 2, patch_stride: int = 16
) -> EfficientViTM:
    """CascadedViT S, M, L or XL with random weights; residual branches begin at zero."""

    def ffn(channels: int) -> nn.Module:
        return CascadedChunkFFN(channels, int(RATIO * channels), chunks)

    return started_at_zero(EfficientViTM(spec, SIZES[LAYOUTS[size]], classes, distilled, ffn, patch_stride))
