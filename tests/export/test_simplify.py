"""Rewrites of an encoder leave its function as it is."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from tests.tiny import CANVAS, tiny_model
from torch import nn

from samlet.export.simplify import (
    NormBySquares,
    ResizeByProducts,
    norm_by_squares,
    resize_before_mixing,
    resize_by_products,
    resize_weights,
)
from samlet.models.efficientvit.blocks import ConvLayer
from samlet.nn.fusion import fuse
from samlet.nn.layers import GRID, LayerNorm2d, ToGrid

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


def mixed_then_resized(narrow, wide, side):
    """A stage of a neck, fused: 1x1 convolution, resize."""
    torch.manual_seed(side)
    stage = nn.Sequential(ConvLayer(narrow, wide, bias=True), ResizeByProducts(resize_weights(ToGrid(), side))).eval()
    stage[0].norm.running_mean.uniform_(-1, 1)
    fuse(stage)
    return stage


@pytest.mark.parametrize(
    ("narrow", "wide", "side", "swapped"),
    [
        (4, 16, 2 * GRID, True),  # shrinks: fewer places to mix, fewer channels to resize
        (4, 16, 3 * GRID // 4, True),
        (64, 128, GRID // 4, False),  # sixteen times as many places to mix afterwards
        (16, 4, GRID // 2, False),
    ],
)
@torch.no_grad()
def test_a_resize_comes_first_where_that_is_less_work(narrow, wide, side, swapped):
    stage = mixed_then_resized(narrow, wide, side)
    x = torch.randn(2, narrow, side, side, generator=torch.Generator().manual_seed(side))
    before = stage(x)
    resize_before_mixing(stage)
    assert isinstance(stage[0], ResizeByProducts) is swapped
    torch.testing.assert_close(stage(x), before, rtol=1e-4, atol=1e-4)


def test_a_resize_stays_behind_what_it_does_not_commute_with():
    resize = ResizeByProducts(resize_weights(ToGrid(), 2 * GRID))
    for first in (
        nn.Conv2d(4, 16, 3, padding=1),
        nn.Conv2d(4, 16, 1, groups=4),
        ConvLayer(4, 16, norm=False, act=nn.ReLU),
        nn.Conv2d(4, 16, 1, stride=2),
    ):
        stage = nn.Sequential(first, resize)
        resize_before_mixing(stage)
        assert stage[1] is resize


@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_a_convolution_takes_the_mean_off_for_the_norm_behind_it(bias):
    torch.manual_seed(0)
    norms = [LayerNorm2d(8, eps=0.1) for _ in range(2)]
    for norm in norms:
        norm.weight.uniform_(-1, 1)
        norm.bias.uniform_(-1, 1)
    model = nn.Sequential(nn.Conv2d(3, 8, 1, bias=bias), norms[0], nn.ReLU(), norms[1])
    pixels = torch.randn(2, 3, 5, 7)
    before = model(pixels)
    norm_by_squares(model, pixels)
    assert [isinstance(model[place], NormBySquares) for place in (1, 3)] == [True, False]  # no convolution before it
    assert isinstance(model[1], LayerNorm2d)  # for half precision, which leaves norms in float32
    torch.testing.assert_close(model(pixels), before, rtol=1e-4, atol=1e-5)
