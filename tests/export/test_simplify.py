"""Rewrites of an encoder leave its function as it is."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from tests.filler import fill_
from tests.tiny import CANVAS, tiny_model
from torch import nn

from samlet.export.simplify import ResizeByProducts, fold_batch_norms, resize_by_products
from samlet.models.efficientvit_sam import ToGrid
from samlet.nn.layers import ConvBN

PIXELS = torch.linspace(-2, 2, 3 * CANVAS * CANVAS).reshape(1, 3, CANVAS, CANVAS)


@pytest.fixture
def encoder():
    return deepcopy(tiny_model().image_encoder)


def kinds(module):
    return [type(child) for child in module.modules()]


@torch.no_grad()
def test_folding_removes_every_batch_norm_and_changes_nothing(encoder):
    before = encoder(PIXELS)
    assert nn.BatchNorm2d in kinds(encoder)
    fold_batch_norms(encoder)
    assert nn.BatchNorm2d not in kinds(encoder)
    torch.testing.assert_close(encoder(PIXELS), before, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_depthwise_convolution_is_folded():
    unit = fill_(ConvBN(8, 8, 3, groups=8).eval())
    x = PIXELS.reshape(1, 8, -1, CANVAS)
    before = unit(x)
    fold_batch_norms(unit)
    assert isinstance(unit.bn, nn.Identity)
    torch.testing.assert_close(unit(x), before, rtol=1e-4, atol=1e-4)


def test_a_norm_that_only_stands_beside_a_convolution_is_left():
    class Crossed(nn.Module):
        """Registered as conv, norm; run as norm, conv."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x):
            return self.conv(self.norm(x))

    crossed = Crossed().eval()
    fold_batch_norms(crossed)
    assert isinstance(crossed.norm, nn.BatchNorm2d)


@torch.no_grad()
def test_resizes_become_products_and_idle_ones_vanish(encoder):
    before = encoder(PIXELS)
    resize_by_products(encoder, PIXELS)
    assert ToGrid not in kinds(encoder)
    assert isinstance(encoder.fine[1], nn.Identity)
    assert isinstance(encoder.coarse[1], ResizeByProducts)
    torch.testing.assert_close(encoder(PIXELS), before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [1, 2, 16, 32, 63, 100])  # enlarging and shrinking
def test_products_equal_the_bicubic_resize(side):
    x = torch.randn(2, 5, side, side, generator=torch.Generator().manual_seed(side))
    torch.testing.assert_close(ResizeByProducts(side)(x), ToGrid()(x), rtol=1e-5, atol=1e-5)
