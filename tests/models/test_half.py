"""Half precision of encoders: which layers compute in it, and that masks and large numbers survive it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.filler import fill_
from torch import nn

from samlet.models import create, load_checkpoint
from samlet.models.efficientvit.blocks import LiteMLA
from samlet.models.half import half_encoder
from samlet.models.registry import get_spec
from samlet.nn.fusion import fuse
from samlet.nn.layers import LayerNorm2d, attend
from samlet.nn.sam import Sam
from samlet.predictor import Predictor
from samlet.prompts import Prompts
from samlet.runtime.torch import PRECISIONS, TorchBackend

ROOT = Path(__file__).parents[2]
FAMILIES = {"efficientvit-sam-b0": 64, "edge-sam-rpn": 128, "mobile-sam": 64}  # and canvases
LARGE = {"efficientvit-sam-l0": 64, "repvit-sam": 64, "sam-vit-b": 64}
DTYPES = [torch.float16, torch.bfloat16]
MULTIPLIES = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def small(name: str) -> Sam:
    """A fused model of a family, for a small canvas."""
    spec = get_spec(name)
    torch.manual_seed(0)
    model = create(replace(spec, image=replace(spec.image, canvas=(FAMILIES | LARGE)[name])))
    if name != "repvit-sam":  # whose 50 layers turn a thousandth of the input into all of the output, so filled
        fill_(model)
    fuse(model)
    return model.eval()


# Type, and the largest error in standard deviations. The artificial weights of RepViT make numbers of 1e8: beyond
# float16, which is for the backend to notice, and rounded often in bfloat16.
CASES = [
    ("efficientvit-sam-b0", torch.float16, 0.01),
    ("mobile-sam", torch.float16, 0.01),
    ("edge-sam-rpn", torch.bfloat16, 0.3),
]
SLOW = [
    ("efficientvit-sam-b0", torch.bfloat16, 0.08),
    ("efficientvit-sam-l0", torch.bfloat16, 0.08),
    ("repvit-sam", torch.bfloat16, 0.05),
    ("sam-vit-b", torch.float16, 0.01),
]


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"), [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]
)
@torch.no_grad()
def test_every_family_says_nearly_the_same(name: str, dtype: torch.dtype, tolerance: float) -> None:
    model = small(name)
    side = model.spec.image.canvas
    pixels = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 3, side, side))).float()
    whole, half = model.features(pixels), half_encoder(model, dtype).features(pixels)
    assert whole.keys() == half.keys()
    ours, theirs = half["image_embeddings"].float(), whole["image_embeddings"]
    assert (ours - theirs).std() < tolerance * theirs.std()


@pytest.mark.parametrize("name", FAMILIES)
def test_only_what_multiplies_is_half(name: str) -> None:
    model = small(name)
    half = half_encoder(model, torch.float16)
    assert half.mask_decoder is model.mask_decoder
    assert half.prompt_encoder is model.prompt_encoder
    assert {weights.dtype for weights in model.parameters()} == {torch.float32}
    kinds: dict[torch.dtype, set[type]] = {torch.float16: set(), torch.float32: set()}
    for part in half.image_encoder.modules():
        for weights in part.parameters(recurse=False):
            kinds[weights.dtype].add(type(part))
    assert kinds[torch.float16] <= set(MULTIPLIES)
    assert kinds[torch.float32].isdisjoint(MULTIPLIES)
    others = [part for part in half.children() if part is not half.image_encoder]
    assert {weights.dtype for part in others for weights in part.parameters()} == {torch.float32}


class Recorder:
    """Notes the type of what a function or a module is given."""

    def __init__(self) -> None:
        self.seen: list[torch.dtype] = []

    def __call__(self, module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        self.seen.append(given[0].dtype)


@torch.no_grad()
def test_norms_and_linear_attention_compute_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    half = half_encoder(small("efficientvit-sam-b0"), torch.float16)
    norms, convolutions, sums = Recorder(), Recorder(), Recorder()
    for part in half.image_encoder.modules():
        if isinstance(part, LayerNorm2d):
            part.register_forward_pre_hook(norms)
        elif isinstance(part, nn.Conv2d):
            part.register_forward_pre_hook(convolutions)
    attend_linearly = LiteMLA._attend
    monkeypatch.setattr(LiteMLA, "_attend", lambda self, qkv: sums(self, (qkv,)) or attend_linearly(self, qkv))
    half.features(torch.zeros(1, 3, 64, 64))
    assert (set(norms.seen), set(convolutions.seen), set(sums.seen)) == (
        {torch.float32},
        {torch.float16},
        {torch.float32},
    )


@torch.no_grad()
def test_sums_that_leave_float16_stay_finite() -> None:
    """Queries and keys of a few hundred, whose sums over 64 positions are millions."""
    model = small("efficientvit-sam-b0")
    for part in model.image_encoder.modules():
        if isinstance(part, LiteMLA):
            nn.init.constant_(part.qkv.get_parameter("conv.weight"), 3.0)
            nn.init.constant_(part.proj.get_parameter("conv.weight"), 1e-3)
    pixels = torch.rand(1, 3, 128, 128)
    whole, half = (m.features(pixels)["image_embeddings"] for m in (model, half_encoder(model, torch.float16)))
    assert half.isfinite().all()
    assert (half.float() - whole).std() < 0.02 * whole.std()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exporting", [False, True])
def test_softmax_survives_scores_beyond_float16(
    dtype: torch.dtype, exporting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: exporting)
    q, k, v = torch.rand(3, 1, 2, 5, 64).unbind()
    q, k, bias = q * 300, k * 300, torch.rand(2, 5, 5)
    out = attend(q.to(dtype), k.to(dtype), v.to(dtype), bias)
    assert out.dtype == dtype
    expected = attend(q.to(dtype).float(), k.to(dtype).float(), v, bias)
    torch.testing.assert_close(out.float(), expected, rtol=0, atol=0.02)


@pytest.mark.slow
def test_masks_of_the_default_model_survive() -> None:
    """One photo, one box and two clicks: IoU with float32's masks."""
    model = create("efficientvit-sam-b0")
    load_checkpoint(model, ROOT / "checkpoints" / "efficientvit-sam-b0.safetensors")
    fuse(model)
    prompts = [Prompts.boxes([280, 60, 500, 330]), Prompts.points([[[250, 225]], [[120, 300]]])]
    masks = {}
    for precision in PRECISIONS:
        predictor = Predictor(TorchBackend(model, model.spec, precision=precision))
        embedding = predictor.embed(ROOT / "examples" / "coffee.jpg")
        assert embedding.features["image_embeddings"].dtype == np.float32
        masks[precision] = np.concatenate(
            [predictor.decode(embedding, each).to_image(embedding.frame)[:, 0] > 0 for each in prompts]
        )
    for precision in ("float16", "bfloat16"):
        union = (masks["float32"] | masks[precision]).sum((1, 2))
        shared = (masks["float32"] & masks[precision]).sum((1, 2))
        assert union.min() > 1000
        assert (shared / union).min() >= 0.98, precision
