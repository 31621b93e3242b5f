"""Rewrites of a torch encoder that leave its function as it is and make its graph cheaper to run."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from samlet.nn.layers import LayerNorm2d, ToGrid


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


def resize_before_mixing(encoder: nn.Module) -> None:
    """Let a resize by products come before the 1x1 convolution it follows, in place, where that takes fewer products.

    They commute: one acts on places, the other on channels, and a resize leaves the constant map of a bias as it is.
    In EfficientViT-SAM B0 the widest map of the neck has an eighth of the channels before its convolution.
    """
    for parent in list(encoder.modules()):
        for (name, child), (next_name, following) in pairwise(list(parent.named_children())):
            mixing = _only_pointwise(child)
            if isinstance(following, ResizeByProducts) and mixing is not None and following.is_cheaper_before(mixing):
                parent.set_submodule(name, following)
                parent.set_submodule(next_name, mixing)


def norm_by_squares(encoder: nn.Module, pixels: Tensor) -> None:
    """Let the convolution before a channel norm subtract the mean, in place; the norm is left with a mean square.

    As a LayerNorm between two transposes it moves the whole map around: a tenth of EfficientViT-SAM B0's time in
    OpenVINO, whose maps have their channels last already. Subtracting the mean is linear, so it costs nothing when it
    is part of the weights. `pixels` show which convolution comes before which norm.
    """
    latest: tuple[Tensor, nn.Conv2d] | None = None
    pairs: dict[LayerNorm2d, nn.Conv2d] = {}

    def made(module: nn.Conv2d, _given: tuple[Tensor, ...], result: Tensor) -> None:
        nonlocal latest
        latest = result, module

    def normed(module: LayerNorm2d, given: tuple[Tensor, ...]) -> None:
        if latest is not None and latest[0] is given[0]:
            pairs[module] = latest[1]

    norms = {name: module for name, module in encoder.named_modules() if isinstance(module, LayerNorm2d)}
    convolutions = [module for module in encoder.modules() if isinstance(module, nn.Conv2d)]
    hooks = [module.register_forward_hook(made) for module in convolutions]
    hooks += [module.register_forward_pre_hook(normed) for module in norms.values()]
    encoder(pixels)
    for hook in hooks:
        hook.remove()
    for name, module in norms.items():
        if module in pairs:
            _center(pairs[module])
            encoder.set_submodule(name, NormBySquares(module))


def _center(convolution: nn.Conv2d) -> None:
    """Take the mean over output channels off what a convolution gives."""
    for parameter in (convolution.weight, convolution.bias):
        if parameter is not None:
            parameter.data -= parameter.data.mean(0, keepdim=True)


def _only_pointwise(module: nn.Module) -> nn.Conv2d | None:
    """The 1x1 convolution that is all this module computes, or None."""
    layers = [module] if isinstance(module, nn.Conv2d) else list(module.children())
    layers = [layer for layer in layers if not isinstance(layer, nn.Identity)]
    single = layers[0] if len(layers) == 1 and isinstance(module, nn.Conv2d | nn.Sequential) else None
    if isinstance(single, nn.Conv2d) and single.kernel_size == single.stride == (1, 1) and single.groups == 1:
        return single
    return None


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

    def is_cheaper_before(self, convolution: nn.Conv2d) -> bool:
        """Whether this and a 1x1 convolution take fewer multiplications in this order than in the other."""
        to, side = self.weights.shape
        products = to * side * (side + to)  # of a channel
        narrow, wide = convolution.in_channels, convolution.out_channels
        return narrow * products + to**2 * narrow * wide < side**2 * narrow * wide + wide * products

    def forward(self, x: Tensor) -> Tensor:
        """Rows, then columns."""
        return (self.weights @ x.to(self.weights.dtype) @ self.weights.T).to(x.dtype)


class NormBySquares(LayerNorm2d):
    """The channel norm `norm` for [N, C, H, W] of mean 0 over the channels."""

    def __init__(self, norm: LayerNorm2d) -> None:
        super().__init__(norm.normalized_shape[0], norm.eps)
        self.load_state_dict(norm.state_dict())

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name nn.LayerNorm gives it
        """Divide by the root of the mean square."""
        scale = torch.rsqrt(input.square().mean(1, keepdim=True) + self.eps)
        return input * scale * self.weight[:, None, None] + self.bias[:, None, None]
