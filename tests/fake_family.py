"""A family whose sizes are none of SAM's: what a model needs beyond a spec and a network is nothing.

Its images are stretched over 1008 pixels, its grid has 72 cells of 32 channels, its logits 288 pixels; it answers with
1, 3 or 4 masks. `tests.fake_family:THREE` is a model's name, as for anybody's own model.
"""

from __future__ import annotations

from torch import nn

from samlet.models import Sam
from samlet.nn.layers import LayerNorm2d
from samlet.spec import ImageSpec, ModelSpec

IMAGE = ImageSpec(canvas=1008, prompt_canvas=1008, fit="stretch", grid=72, channels=32, low_res=288)
PATCH = IMAGE.canvas // IMAGE.grid


def _spec(name: str, mask_tokens: int, **columns: object) -> ModelSpec:
    return ModelSpec(
        name=f"fake-{name}",
        family="fake",
        image=IMAGE,
        builder="tests.fake_family:build",
        options={},
        parameters=0,
        encoder_macs=0,
        license="none",
        mask_tokens=mask_tokens,
        pred_iou_thresh=0.0,
        stability_score_thresh=0.0,
        **columns,
    )


ONE = _spec("one", 1)
THREE = _spec("three", 3, single_column=2, multimask_columns=(0, 1))
FOUR = _spec("four", 4)


def build(spec: ModelSpec) -> Sam:
    encoder = nn.Sequential(nn.Conv2d(3, spec.image.channels, PATCH, PATCH), LayerNorm2d(spec.image.channels))
    return Sam(spec, encoder)
