"""The pyramid's own rules; that it gives the official numbers is tested with the model that has it."""

from __future__ import annotations

import pytest
import torch

from samlet.models.edge_sam.fpn import Fpn


@pytest.fixture
def fpn():
    torch.manual_seed(0)
    return Fpn((6, 8, 10), channels=4)


@pytest.mark.parametrize(
    ("sides", "expected"), [((16, 8, 4), (16, 8, 4, 2, 1)), ((7, 4, 2), (7, 4, 2, 1, 1)), ((1, 1, 1), (1,) * 5)]
)
def test_three_maps_become_five(fpn, sides, expected):
    out = fpn([torch.randn(2, channels, side, side) for channels, side in zip((6, 8, 10), sides, strict=True)])
    assert [tuple(x.shape) for x in out] == [(2, 4, side, side) for side in expected]


def test_mixing_goes_down_only(fpn):
    maps = [torch.randn(1, channels, side, side) for channels, side in ((6, 16), (8, 8), (10, 4))]
    before = fpn(maps)
    finer = fpn([maps[0] + 1, *maps[1:]])
    coarser = fpn([*maps[:2], maps[2] + 1])
    assert [torch.equal(a, b) for a, b in zip(before, finer, strict=True)] == [False, True, True, True, True]
    assert not any(torch.equal(a, b) for a, b in zip(before, coarser, strict=True))


def test_the_two_coarsest_are_every_second_cell(fpn):
    out = fpn([torch.randn(1, channels, side, side) for channels, side in ((6, 16), (8, 8), (10, 4))])
    assert torch.equal(out[3], out[2][..., ::2, ::2])
    assert torch.equal(out[4], out[2][..., ::4, ::4])
