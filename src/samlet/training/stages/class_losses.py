"""Losses of classes: of images [N, C] and of pixels [N, C, H, W]."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from samlet.data.classes import IGNORED
from samlet.training.class_configs import ClassLoss, Distill
from samlet.training.loop.processes import average


def class_loss(logits: Tensor, targets: Tensor, loss: ClassLoss) -> Tensor:
    """Logits [N, C] against shares of classes [N, C]: cross-entropy, the mean over images, or binary cross-entropy of
    every class by itself, the mean over images and classes as in EfficientViT's code.
    """
    logits = logits.float()
    if loss == "bce":
        return F.binary_cross_entropy_with_logits(logits, targets)
    return -(targets * F.log_softmax(logits, dim=1)).sum(dim=1).mean()


def distillation(logits: Tensor, teacher: Tensor, kind: Distill, temperature: float) -> Tensor:
    """The distance of a student's logits [N, C] to its teacher's; DeiT's (arXiv 2012.12877).

    "soft": the divergence of probabilities softened by `temperature`, times its square, over images and classes;
    "hard": cross-entropy with the teacher's best class.
    """
    logits, teacher = logits.float(), teacher.float()
    if kind == "hard":
        return F.cross_entropy(logits, teacher.argmax(dim=1))
    student, wanted = (F.log_softmax(values / temperature, dim=1) for values in (logits, teacher))
    return F.kl_div(student, wanted, reduction="sum", log_target=True) * temperature**2 / logits.numel()


def pixel_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy of logits [N, C, h, w] with classes [N, H, W] of the full size, the mean over pixels that count.

    Logits are scaled up first, as they are when the model is used. A batch without such a pixel costs nothing. Of
    several processes, each pixel of the step counts the same.
    """
    full = F.interpolate(logits.float(), size=classes.shape[1:], mode="bilinear", align_corners=False)
    counted = average((classes != IGNORED).sum().float()).clamp(min=1)
    return F.cross_entropy(full, classes, ignore_index=IGNORED, reduction="sum") / counted
