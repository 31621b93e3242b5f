"""The neck's own rules; that it gives the official numbers is tested with the model that has it."""

from __future__ import annotations

import pytest
import torch

from samlet.models.edge_sam.bifpn import BiFpn, BiFpnStage, HalvingPool


@pytest.mark.parametrize(("side", "halved"), [(8, 4), (4, 2), (2, 1), (1, 1), (7, 4)])
def test_pooling_halves_and_rounds_up(side, halved):
    assert HalvingPool()(torch.randn(1, 2, side, side)).shape == (1, 2, halved, halved)


def test_an_even_map_is_padded_with_zeros_on_the_right_and_below():
    ramp = -1 - torch.arange(16.0).reshape(1, 1, 4, 4)
    assert HalvingPool()(ramp)[0, 0].tolist() == [[-1, 0], [0, 0]]


def test_three_maps_become_five_ever_smaller_ones():
    maps = [torch.randn(2, channels, side, side) for channels, side in ((6, 16), (8, 8), (10, 4))]
    out = BiFpn((6, 8, 10), channels=4, rounds=2).eval()(maps)
    assert [tuple(x.shape) for x in out] == [(2, 4, side, side) for side in (16, 8, 4, 2, 1)]


def test_a_weight_below_zero_shuts_its_input_out():
    torch.manual_seed(0)
    stage = BiFpnStage(4).eval()
    with torch.no_grad():
        stage.p7_w2[1] = -1
    maps = [torch.randn(1, 4, side, side) for side in (16, 8, 4, 2, 1)]
    alone = stage(maps)[4]
    maps[0] = maps[0] + 1
    assert torch.equal(stage(maps)[4], alone)
    assert not torch.equal(stage(maps)[3], stage([m + 1 for m in maps])[3])
