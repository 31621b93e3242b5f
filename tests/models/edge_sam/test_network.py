"""EdgeSAM: two levels merged, two upsamplings, the paper's other encoders, fusion; numbers of the official code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from tests import filler, parity
from torch import Tensor, nn

from samlet.models import create
from samlet.models.cost import count_parameters
from samlet.models.creation import build, skeleton
from samlet.models.edge_sam.network import EdgeSamEncoder
from samlet.models.registry import get_spec
from samlet.nn.fusion import fuse
from samlet.nn.repvit import RepViTConfig
from samlet.nn.sam import Sam

NUMBERS = parity.numbers("edge-sam")
VARIANTS = NUMBERS["variants"]
TINY = RepViTConfig((8, 16, 24, 32), (2, 1, 3, 2))
FUSED_PARAMETERS = 5_485_896


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def variant(name: str) -> Sam:
    """One of the paper's other encoders, without weights."""
    options = {key: VARIANTS[name][key] for key in ("size", "levels")}
    return build(replace(get_spec("edge-sam"), options=options))


def official_input() -> Tensor:
    return torch.from_numpy(filler.array("encoder", 1, 3, 1024, 1024))


def test_the_embedding_merges_the_last_two_levels() -> None:
    encoder = filler.fill_(EdgeSamEncoder(TINY).eval())
    pixels = torch.randn(2, 3, 64, 64)
    *_, fine, coarse = encoder.features.forward_features(pixels)
    up = nn.functional.interpolate(
        encoder.fuse_stage3.op_list[0](coarse), scale_factor=2, mode="bicubic", align_corners=False
    )
    expected = encoder.neck(encoder.fuse_stage2(fine) + up)
    assert expected.shape == (2, 256, 4, 4)
    torch.testing.assert_close(encoder(pixels), expected)


def test_the_upsamplings_have_the_same_names_and_other_embeddings() -> None:
    cubic, linear = (filler.fill_(EdgeSamEncoder(TINY, mode).eval()) for mode in ("bicubic", "bilinear"))
    assert cubic.state_dict().keys() == linear.state_dict().keys()
    pixels = torch.randn(1, 3, 128, 128)
    assert (cubic(pixels) - linear(pixels)).abs().max() > 0.01


@pytest.mark.parametrize("name", VARIANTS)
def test_names_of_the_other_encoders_are_official(name: str) -> None:
    with torch.device("meta"):
        encoder = variant(name).image_encoder
    ours = {parameter: list(value.shape) for parameter, value in encoder.state_dict().items()}
    assert ours == NUMBERS["manifests_of_variants"][name]
    assert count_parameters(encoder) == VARIANTS[name]["parameters"]


def test_fusion_gives_the_official_number_of_parameters() -> None:
    model = skeleton("edge-sam")
    fuse(model)
    assert count_parameters(model.image_encoder) == FUSED_PARAMETERS
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def test_fusion_keeps_the_embedding_on_random_statistics() -> None:
    encoder = filler.fill_(EdgeSamEncoder(TINY).eval())
    pixels = torch.randn(1, 3, 64, 64)
    before = encoder(pixels)
    fuse(encoder)
    torch.testing.assert_close(encoder(pixels), before, rtol=0, atol=2e-5)


@pytest.mark.slow
def test_fused_and_bilinear_embeddings_are_official() -> None:
    model = filler.fill_(create("edge-sam"))
    cubic = model.encode(official_input())
    linear = build(replace(model.spec, options={"size": "m1", "upsampling": "bilinear"}))
    linear.load_state_dict(model.state_dict())
    fuse(model)
    outputs = {
        "fused": (model.encode(official_input()), NUMBERS["fused"]),
        "bilinear": (linear.encode(official_input()), NUMBERS["bilinear"]),
    }
    assert parity.wrong(outputs) == {}
    difference = (outputs["bilinear"][0] - cubic).abs().max().item()
    assert difference == pytest.approx(NUMBERS["largest_difference_of_upsamplings"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_embeddings_of_the_other_encoders_are_official(name: str) -> None:
    """In float64: from there the official float32 of m2 is 1.4e-5 of the std, and ours 6.4e-5 on one CPU."""
    encoder = filler.fill_(variant(name).image_encoder).double()
    digest, pixels = VARIANTS[name]["embedding"], official_input().double()
    unfused = encoder(pixels)
    fuse(encoder)
    outputs = {"unfused": (unfused, digest), "fused": (encoder(pixels), digest)}
    assert parity.wrong(outputs) == {}
