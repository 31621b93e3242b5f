"""EfficientViT-SAM: norm eps everywhere, the neck's grid, canvases and the light necks of the small models."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from samlet.models import create
from samlet.models.creation import skeleton
from samlet.models.efficientvit.blocks import FusedMBConv, MBConv
from samlet.models.efficientvit_sam.network import NECKS
from samlet.models.registry import MODELS

NAMES = [spec.name for spec in MODELS if spec.family == "efficientvit-sam"]


@pytest.mark.parametrize("name", NAMES)
def test_every_norm_has_the_eps_of_the_zoo(name: str) -> None:
    """The mask decoder's too, which in SAM itself are at 1e-5; wrong ones move the embedding by 7e-5 of its std."""
    model = skeleton(name)
    norms = [module for module in model.modules() if isinstance(module, nn.LayerNorm | nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-6}
    assert any(isinstance(module, nn.LayerNorm) for module in model.mask_decoder.transformer.modules())


def test_sam_itself_keeps_its_own_eps() -> None:
    decoder = skeleton("sam-vit-b").mask_decoder
    assert decoder.transformer.norm_final_attn.eps == 1e-5
    assert decoder.output_upscaling[1].eps == 1e-6


def test_every_model_of_the_family_has_a_neck() -> None:
    assert {f"efficientvit-sam-{backbone}" for backbone in NECKS} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_small_models_have_a_light_neck_and_the_papers_a_dense_one(name: str) -> None:
    blocks = [block.main for block in skeleton(name).image_encoder.neck.middle.op_list]
    light = name.endswith(("b0", "b1"))
    assert {type(block) for block in blocks} == {MBConv if light else FusedMBConv}


@pytest.mark.parametrize("canvas", [256, 320, 512, 1024])
def test_any_canvas_gives_the_grid_of_64(canvas: int) -> None:
    encoder = create("efficientvit-sam-b0").image_encoder.requires_grad_(False)
    assert encoder(torch.randn(1, 3, canvas, canvas)).shape == (1, 256, 64, 64)


def test_a_model_cast_to_bfloat16_runs() -> None:
    """The official one does not: its resize returns float32 to half-precision weights."""
    model = create("efficientvit-sam-b0").requires_grad_(False)
    pixels = torch.randn(1, 3, 256, 256)
    exact, half = model.encode(pixels), model.bfloat16().encode(pixels.bfloat16())
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).norm() < 0.1 * exact.norm()
