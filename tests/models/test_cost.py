"""Parameters and multiply-accumulates are those the registry says and the papers publish."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from tests import parity
from torch.utils.flop_counter import FlopCounterMode

from samlet.models.cost import count_encoder_macs, count_parameters
from samlet.models.creation import skeleton
from samlet.models.registry import MODELS
from samlet.spec import ModelSpec

GIGA = 1e9
# What samlet's own models promise: MACs in G.
BUDGETS = {"efficientvit-sam-b0": 3, "efficientvit-sam-b1": 5}
PROMPT_ENCODER_PARAMETERS, MASK_DECODER_PARAMETERS = 6_220, 4_058_340


MODEL = cache(skeleton)


@cache
def encoder_macs(name: str) -> int:
    return count_encoder_macs(MODEL(name))


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_the_registry_says_what_the_modules_cost(spec: ModelSpec) -> None:
    model = MODEL(spec.name)
    assert (spec.parameters, spec.encoder_macs) == (count_parameters(model), encoder_macs(spec.name))
    if spec.task != "promptable":
        return
    assert count_parameters(model.prompt_encoder) == PROMPT_ENCODER_PARAMETERS
    assert count_parameters(model.mask_decoder) == MASK_DECODER_PARAMETERS


@pytest.mark.parametrize("name", parity.names_with("published"))
def test_costs_are_the_published_ones(name: str) -> None:
    """Each is stored with its tolerance, half of the last digit unless the README of the fixtures says why not."""
    published = parity.numbers(name)["published"]
    counted = {"parameters": count_parameters(MODEL(name)), "encoder_gmacs": encoder_macs(name) / GIGA}
    assert published.keys() <= counted.keys()
    for what, (value, tolerance) in published.items():
        assert counted[what] == pytest.approx(value, rel=0, abs=tolerance), what


@pytest.mark.parametrize("name", BUDGETS)
def test_the_small_models_are_small(name: str) -> None:
    assert encoder_macs(name) / GIGA <= BUDGETS[name]


@pytest.mark.parametrize("name", ["efficientvit-sam-b0", "mobile-sam"])
def test_torchs_own_counter_agrees(name: str) -> None:
    """Not so for the ViTs, where it counts the look-up of relative positions too."""
    model = MODEL(name)
    canvas = model.spec.image.canvas
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.encode(torch.empty(1, 3, canvas, canvas, device="meta"))
    assert encoder_macs(name) == counter.get_total_flops() // 2
