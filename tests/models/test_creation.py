"""Every name of the registry builds a whole model in eval mode, with the official names of the shared parts."""

from __future__ import annotations

import pytest
import torch
from tests import parity

from samlet.errors import UnknownModelError
from samlet.models import create
from samlet.models.creation import skeleton
from samlet.models.registry import MODELS

NAMES = [spec.name for spec in MODELS if spec.task == "promptable"]


@pytest.mark.parametrize("name", NAMES)
def test_every_model_builds(name: str) -> None:
    model = skeleton(name)
    assert model.spec.name == name
    assert not any(module.training for module in model.modules())
    state = {parameter: list(value.shape) for parameter, value in model.state_dict().items()}
    assert any(parameter.startswith("image_encoder.") for parameter in state)
    shared = {parameter for parameter in state if parameter.startswith(("prompt_encoder.", "mask_decoder."))}
    assert {parameter: state[parameter] for parameter in shared} == parity.numbers("mask-decoder")["manifest"]
    canvas = model.spec.image.canvas
    assert model.encode(torch.empty(2, 3, canvas, canvas, device="meta")).shape == (2, 256, 64, 64)


def test_a_created_model_has_weights_and_a_skeleton_has_none() -> None:
    assert create("efficientvit-sam-b0").device.type == "cpu"
    assert skeleton("efficientvit-sam-b0").device.type == "meta"


def test_an_alias_builds_the_same_model() -> None:
    assert skeleton("vit_b").spec.name == "sam-vit-b"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownModelError, match="efficientvit-sam-l0"):
        create("efficientvit-sam-l00")
