"""Families whose encoders are rewritten for export: RepViT's branches, EdgeSAM's upsampling."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from tests.filler import fill_
from torch import nn

from samlet.export.onnx import export_onnx
from samlet.export.simplify import resize_by_products
from samlet.models import create
from samlet.models.edge_sam import EdgeSamEncoder, Upsampling
from samlet.nn.fusion import fuse
from samlet.nn.repvit import RepViTConfig

TINY = RepViTConfig((8, 16, 24, 32), (2, 1, 3, 2))


@pytest.mark.parametrize("upsampling", ["bicubic", "bilinear"])
@torch.no_grad()
def test_a_rewritten_encoder_of_edge_sam_gives_the_same_embedding(upsampling: Upsampling) -> None:
    encoder = fill_(EdgeSamEncoder(TINY, upsampling).eval())
    pixels = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    rewritten = deepcopy(encoder)
    fuse(rewritten)
    resize_by_products(rewritten, pixels)
    assert not any(isinstance(module, nn.Upsample | nn.BatchNorm2d) for module in rewritten.modules())
    # a few of 16,384 values, of standard deviation 1, differ by 2.5e-5: their sums are in another order
    torch.testing.assert_close(rewritten(pixels), encoder(pixels), rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["edge-sam", "repvit-sam"])
def test_the_exported_model_has_the_masks_of_the_unfused_one(name: str, tmp_path: Path) -> None:
    parity = export_onnx(fill_(create(name)), tmp_path / name)
    assert parity.mean_mask_iou >= 0.999
