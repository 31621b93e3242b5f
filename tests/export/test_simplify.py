"""Rewrites of an encoder leave its function as it is."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from tests.tiny import CANVAS, tiny_model
from torch import nn

from samlet.export.simplify import ResizeByProducts, resize_by_products, resize_weights
from samlet.nn.layers import ToGrid

PIXELS = torch.linspace(-2, 2, 3 * CANVAS * CANVAS).reshape(1, 3, CANVAS, CANVAS)


@pytest.fixture
def encoder():
    return deepcopy(tiny_model().image_encoder)


def kinds(module):
    return [type(child) for child in module.modules()]


@torch.no_grad()
def test_resizes_become_products_and_idle_ones_vanish(encoder):
    before = encoder(PIXELS)
    resize_by_products(encoder, PIXELS)
    assert ToGrid not in kinds(encoder)
    assert isinstance(encoder.fine[1], nn.Identity)
    assert isinstance(encoder.coarse[1], ResizeByProducts)
    torch.testing.assert_close(encoder(PIXELS), before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [1, 2, 16, 32, 63, 100])  # enlarging and shrinking
@pytest.mark.parametrize(
    "resize",
    [ToGrid(), *(nn.Upsample(scale_factor=2, mode=mode, align_corners=False) for mode in ("bicubic", "bilinear"))],
    ids=["to the grid", "bicubic", "bilinear"],
)
def test_products_equal_the_resize(resize, side):
    x = torch.randn(2, 5, side, side, generator=torch.Generator().manual_seed(side))
    products = ResizeByProducts(resize_weights(resize, side))
    torch.testing.assert_close(products(x), resize(x), rtol=1e-5, atol=1e-5)
