"""Rewrites of a torch encoder that leave its function as it is and make its graph cheaper to run."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samlet.nn.layers import ToGrid


def resize_by_products(encoder: nn.Module, pixels: Tensor) -> None:
    """Replace each resize of a map by two matrix products, in place; `pixels` show the sizes.

    ONNX Runtime's cubic Resize is scalar code: in EfficientViT-SAM B0 it took four fifths of the encoder's time. Core
    ML has none, for which EdgeSAM's own export upsamples linearly, to other masks.
    """
    sides: dict[nn.Module, int] = {}

    def record(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        sides[module] = given[0].shape[-1]

    resizes = {name: module for name, module in encoder.named_modules() if isinstance(module, ToGrid | nn.Upsample)}
    hooks = [module.register_forward_pre_hook(record) for module in resizes.values()]
    encoder(pixels)
    for hook in hooks:
        hook.remove()
    for name, module in resizes.items():
        weights = resize_weights(module, sides[module])
        idle = weights.shape[0] == weights.shape[1]
        encoder.set_submodule(name, nn.Identity() if idle else ResizeByProducts(weights))


def resize_weights(resize: nn.Module, side: int) -> Tensor:
    """The matrix [T, side] that a resize of square maps applies to rows and to columns: it is linear and separable.

    A map whose rows are constant becomes another such map, so its column j is seen in what becomes of row j.
    """
    rows = torch.eye(side)[:, None, :, None].expand(side, 1, side, side)
    return resize(rows)[:, 0, :, 0].T.contiguous()


class ResizeByProducts(nn.Module):
    """A resize of square maps, [N, C, S, S] → [N, C, T, T], by its `weights` [T, S]."""

    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, x: Tensor) -> Tensor:
        """Rows, then columns."""
        return (self.weights @ x.to(self.weights.dtype) @ self.weights.T).to(x.dtype)
