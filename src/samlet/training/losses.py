"""Losses of distillation. Every mean counts each image once, whatever share of its canvas is padding."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def masked_mse(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    """Mean squared error of embeddings [B, C, H, W] over channels and valid cells [B, H, W], then over images.

    Source: EdgeSAM's pixel loss as intended; its official division mixes the images of a batch.
    """
    return _mean_over_valid((student - teacher).square().mean(dim=1), valid)


def masked_cosine(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    """One minus the cosine of the embeddings' angle per valid cell, averaged as in `masked_mse`."""
    return _mean_over_valid(1 - F.cosine_similarity(student, teacher, dim=1), valid)


def _mean_over_valid(per_cell: Tensor, valid: Tensor) -> Tensor:
    weight = valid.to(per_cell.dtype)
    return ((per_cell * weight).sum(dim=(1, 2)) / weight.sum(dim=(1, 2))).mean()


def mask_losses(logits: Tensor, target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """BCE and dice of logits [P, M, H, W] against masks [P, 1, H, W] in 0..1 where valid [P, 1, H, W]: each [P, M].

    BCE is the mean over valid pixels; dice is smoothed by one pixel on both sides.
    """
    weight = valid.to(logits.dtype)
    bce = F.binary_cross_entropy_with_logits(logits, target.expand_as(logits), reduction="none")
    probability, target = logits.sigmoid() * weight, target * weight
    overlap = (probability * target).sum(dim=(2, 3))
    total = probability.sum(dim=(2, 3)) + target.sum(dim=(2, 3))
    return (bce * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)), 1 - (2 * overlap + 1) / (total + 1)


def true_iou(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """IoU of the masks logits > 0 with target > 0.5 where valid: [P, M], without gradient; 0 for two empty masks."""
    predicted, wanted = (logits.detach() > 0) & valid, (target > 0.5) & valid
    union = (predicted | wanted).sum(dim=(2, 3))
    return (predicted & wanted).sum(dim=(2, 3)) / union.clamp(min=1)
