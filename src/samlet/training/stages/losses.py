"""Losses. Every mean counts each image, or each prompt, once, whatever share of its canvas is padding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

OVERSAMPLED = 3  # PointRend: candidates for each point that counts
UNCERTAIN_SHARE = 0.75  # … of which the candidates nearest to the threshold take


def masked_mse(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    """Mean squared error of embeddings [B, C, H, W] over channels and valid cells [B, H, W], then over images.

    Source: EdgeSAM's pixel loss as intended; its official division mixes the images of a batch.
    """
    return _mean_over_valid((student - teacher).square().mean(dim=1), valid)


def masked_cosine(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    """One minus the cosine of the embeddings' angle per valid cell, averaged as in `masked_mse`."""
    return _mean_over_valid(1 - F.cosine_similarity(student.float(), teacher, dim=1), valid)


def _mean_over_valid(per_cell: Tensor, valid: Tensor) -> Tensor:
    weight = valid.to(per_cell.dtype)
    return ((per_cell * weight).sum(dim=(1, 2)) / weight.sum(dim=(1, 2))).mean()


def mask_losses(logits: Tensor, target: Tensor, valid: Tensor, focal: float = 0.0) -> tuple[Tensor, Tensor]:
    """BCE and dice of logits [P, M, H, W] against masks [P, M or 1, H, W] in 0..1 where valid: each [P, M].

    BCE is the mean over valid pixels [P, 1, H, W]; dice is smoothed by one pixel on both sides. `focal` weighs a
    pixel's BCE by its error to that power (focal loss, arXiv 1708.02002, without its class weight).
    """
    logits = logits.float()  # sums over 65,536 pixels overflow float16
    weight = valid.to(logits.dtype)
    bce = F.binary_cross_entropy_with_logits(logits, target.expand_as(logits), reduction="none")
    probability = logits.sigmoid()
    if focal:
        bce = bce * (target - probability).abs().pow(focal)
    probability, target = probability * weight, target * weight
    overlap = (probability * target).sum(dim=(2, 3))
    total = probability.sum(dim=(2, 3)) + target.sum(dim=(2, 3))
    return (bce * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)), 1 - (2 * overlap + 1) / (total + 1)


def spots_needed(points: int) -> int:
    """How many random spots `at_uncertain_points` needs to choose `points` from."""
    return OVERSAMPLED * points + points - int(UNCERTAIN_SHARE * points)


def at_uncertain_points(
    logits: Tensor, target: Tensor, valid: Tensor, spots: Tensor, points: int
) -> tuple[Tensor, Tensor]:
    """Logits [P, M, 256, 256] and masks [P, 1, 256, 256] at `points` points of each mask: both [P, M, points, 1].

    Three quarters are those of many candidates whose logit is nearest to 0, the others are random: the rim of a mask
    weighs more than its inside. `spots` [K, 2] in 0..1 (x, y) are random, K = `spots_needed(points)`; they are
    laid over what is valid [P, 1, 256, 256] of each canvas. Source: PointRend (arXiv 1912.08193), as EfficientViT-SAM
    uses.
    """
    logits, masks = logits.float(), logits.shape[1]
    places = _places_on(valid, spots)
    candidates, random = places.split([OVERSAMPLED * points, spots.shape[0] - OVERSAMPLED * points], dim=1)
    uncertainty = -_read(logits.detach(), candidates[:, None].expand(-1, masks, -1, -1)).abs()
    nearest = uncertainty.topk(int(UNCERTAIN_SHARE * points), dim=2).indices
    chosen = candidates[:, None].expand(-1, masks, -1, -1).gather(2, nearest[..., None].expand(-1, -1, -1, 2))
    chosen = torch.cat([chosen, random[:, None].expand(-1, masks, -1, -1)], dim=2)
    return _read(logits, chosen)[..., None], _read(target.expand_as(logits), chosen)[..., None]


def _places_on(valid: Tensor, spots: Tensor) -> Tensor:
    """Spots [K, 2] in 0..1 -> places [P, K, 2] in the -1..1 of grid_sample, inside the valid corner of each canvas."""
    side = valid.shape[-1]
    width, height = valid[:, 0].any(dim=1).sum(dim=1), valid[:, 0].any(dim=2).sum(dim=1)
    extent = torch.stack([width, height], dim=1).to(spots.dtype) / side
    return 2 * spots[None] * extent[:, None] - 1


def _read(maps: Tensor, places: Tensor) -> Tensor:
    """Values of maps [P, M, H, W] at places [P, M, K, 2], between pixels as bilinear: [P, M, K]."""
    flat = F.grid_sample(maps.flatten(0, 1)[:, None], places.flatten(0, 1)[:, None], "bilinear", "border", False)
    return flat[:, 0, 0].unflatten(0, maps.shape[:2])


def true_iou(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """IoU of the masks logits > 0 with target > 0.5 where valid: [P, M], without gradient; 0 for two empty masks."""
    predicted, wanted = (logits.detach() > 0) & valid, (target > 0.5) & valid
    union = (predicted | wanted).sum(dim=(2, 3))
    return (predicted & wanted).sum(dim=(2, 3)) / union.clamp(min=1)
