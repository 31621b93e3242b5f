"""The slim TinyViT starts as its coarsest map says, and finer maps reach its embedding once they learn."""

from __future__ import annotations

import pytest
import torch

from samlet.models import create
from samlet.models.mobile_sam.network import WIDTHS
from samlet.models.mobile_sam.slim import FineNeck, SlimTinyViT
from samlet.nn.layers import SamNeck, resize_bicubic


@pytest.fixture
def maps():
    torch.manual_seed(0)
    sides = (16, 8, 4)
    return [torch.randn(2, width, side, side) for width, side in zip((*WIDTHS[:2], WIDTHS[-1]), sides, strict=True)]


def test_a_fresh_neck_is_sams_on_the_enlarged_coarsest_map(maps) -> None:
    neck, sams = FineNeck(WIDTHS, grid=8).eval(), SamNeck(WIDTHS[-1])
    for layer, own in zip(sams, (*neck.coarse, neck.norm), strict=True):
        layer.load_state_dict(own.state_dict())
    with torch.no_grad():
        expected = sams[3](resize_bicubic(sams[2](sams[1](sams[0](maps[2]))), (8, 8)))
        torch.testing.assert_close(neck(*maps), expected)


@pytest.mark.parametrize("layer", ["fine.3", "middle"])
def test_finer_maps_learn_from_the_first_step(maps, layer: str) -> None:
    neck = FineNeck(WIDTHS, grid=8)
    neck(*maps)[:, 0].sum().backward()
    gradient = neck.get_submodule(layer).weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 0


def test_hidden_units_are_those_asked_for_and_any_canvas_gives_the_grid() -> None:
    encoder = SlimTinyViT((8, 16, 24, 32), grid=8).eval()
    units = [encoder.layers[0].get_submodule("blocks.1.conv2.c").weight.shape[0]]
    units += [encoder.layers[i].get_submodule("blocks.0.mlp.fc1").weight.shape[0] for i in (1, 2, 3)]
    assert units == [8, 16, 24, 32]
    with torch.no_grad():
        assert encoder(torch.zeros(1, 3, 96, 96)).shape == (1, 256, 8, 8)


def test_the_slim_model_has_mobile_sams_decoder() -> None:
    slim, whole = create("mobile-sam-slim"), create("mobile-sam")
    for part in ("prompt_encoder", "mask_decoder"):
        assert slim.get_submodule(part).state_dict().keys() == whole.get_submodule(part).state_dict().keys()
