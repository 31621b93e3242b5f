"""Families whose encoders are rewritten for export: RepViT's branches, EdgeSAM's upsampling."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from tests import filler, parity
from tests.exact import far, in_float64, one_digit_off
from tests.filler import fill_
from tests.tiny import with_decoders_at_hand
from torch import Tensor, nn

from samlet.export.graphs import GraphPlan, write_graph
from samlet.export.onnx import export_onnx
from samlet.export.parity import PHOTOS, TOLERANCES
from samlet.export.simplify import resize_by_products
from samlet.models import Sam, create
from samlet.models.edge_sam.network import EdgeSamEncoder, Upsampling
from samlet.nn.fusion import fuse
from samlet.nn.repvit import RepViTConfig, SqueezeExcite
from samlet.runtime.artifact import ENCODER

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


def answer(path: Path, inputs: Tensor) -> NDArray[np.float32]:
    """What ONNX Runtime answers to the only input of a graph."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: inputs.numpy()})[0]


@torch.no_grad()
def test_the_means_of_a_large_map_keep_their_digits(tmp_path: Path) -> None:
    """ONNX Runtime adds up one value after the other: of 256 x 256 at once, it was seven times as far as torch."""
    gate = fill_(SqueezeExcite(8))
    x = 30 + torch.randn(1, 8, 256, 256, generator=torch.Generator().manual_seed(0))
    write_graph(GraphPlan(gate, {"x": (x, {})}, ("y",)), tmp_path / "gate.onnx")
    found = answer(tmp_path / "gate.onnx", x)
    here = gate(x).numpy()
    exact = gate.double()(x.double())
    assert 0 < far(found, exact) < 2 * far(here, exact)


@pytest.fixture(scope="module", params=["edge-sam", "repvit-sam"])
def official(request: pytest.FixtureRequest) -> Sam:
    return fill_(create(request.param)).eval()


@pytest.fixture(scope="module")
def exported(official: Sam, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact of the unfused model, whose masks it was compared with."""
    folder = tmp_path_factory.mktemp("families") / official.spec.name
    tolerance = replace(TOLERANCES["float32"], embedding=1e-3)  # random weights: see below
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TOLERANCES, "float32", tolerance)
        with_decoders_at_hand(patch)
        assert export_onnx(official, folder, photos=PHOTOS[:1]).mean_mask_iou >= 0.999
    return folder


@pytest.mark.slow
@torch.no_grad()
def test_the_exported_encoder_is_as_near_to_exact_numbers_as_its_last_digits_allow(
    official: Sam, exported: Path
) -> None:
    """Fifty layers of random weights magnify each rounding: float64 tells what is rounding and what is wrong."""
    canvas = official.spec.image.canvas
    pixels = torch.from_numpy(filler.array("encoder", 1, 3, canvas, canvas))
    exact = in_float64(official.image_encoder)(pixels.double())
    rounding = far(one_digit_off(official.image_encoder)(pixels.double()), exact)
    assert 0 < far(answer(exported / ENCODER, pixels), exact) < parity.EXPORTED_ROUNDINGS * rounding
