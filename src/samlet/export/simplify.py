"""Rewrites of a torch encoder that leave its function as it is and make its graph cheaper to run."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samlet.models.efficientvit_sam import GRID, ToGrid


def fold_batch_norms(module: nn.Module) -> None:
    """Put every batch norm that follows a convolution in a Sequential into that convolution, in place (eval mode)."""
    children = list(module.named_children()) if isinstance(module, nn.Sequential) else []
    for (name, child), (next_name, following) in pairwise(children):
        if isinstance(child, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            setattr(module, name, nn.utils.fusion.fuse_conv_bn_eval(child, following))
            setattr(module, next_name, nn.Identity())
    for child in module.children():
        fold_batch_norms(child)


def resize_by_products(encoder: nn.Module, pixels: Tensor) -> None:
    """Replace each bicubic resize to the embedding grid by two matrix products, in place; `pixels` show the sizes.

    ONNX Runtime's cubic Resize is scalar code: in EfficientViT-SAM B0 it took four fifths of the encoder's time.
    """
    sides: dict[nn.Module, int] = {}

    def record(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        sides[module] = given[0].shape[-1]

    resizes = {name: module for name, module in encoder.named_modules() if isinstance(module, ToGrid)}
    hooks = [module.register_forward_pre_hook(record) for module in resizes.values()]
    encoder(pixels)
    for hook in hooks:
        hook.remove()
    for name, module in resizes.items():
        side = sides[module]
        encoder.set_submodule(name, nn.Identity() if side == GRID else ResizeByProducts(side))


class ResizeByProducts(nn.Module):
    """Bicubic resize of a square map to the embedding grid: [N, C, S, S] → [N, C, 64, 64]."""

    weights: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        # Resizing is linear and separable: what it does to the columns of a unit matrix is its matrix.
        unit = torch.eye(side)[None, None]
        self.register_buffer("weights", F.interpolate(unit, (GRID, side), mode="bicubic", align_corners=False)[0, 0])

    def forward(self, x: Tensor) -> Tensor:
        """Rows, then columns."""
        return self.weights @ x @ self.weights.T
