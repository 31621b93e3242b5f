from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from tests.training.small_sam import small_sam
from tests.training.toy_stage import Doubling, config
from torch import nn

from samlet.errors import ModelError
from samlet.models.creation import skeleton
from samlet.training.loop.optimizer import (
    Ema,
    build_optimizer,
    clip,
    clip_adaptively,
    decays,
    layer_scales,
    learning_rate,
)


def test_the_rate_warms_up_linearly_and_ends_near_the_final_rate():
    settings = config(steps=100, warmup_steps=10, learning_rate=1.0, final_learning_rate=0.1)
    rates = [learning_rate(step, settings) for step in range(100)]
    assert math.isclose(rates[0], 0.1)
    assert math.isclose(rates[10], 1.0)
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert 0.1 < rates[-1] < 0.101


def test_the_cosine_begins_after_the_warm_up_so_the_rate_never_jumps():
    settings = config(steps=40, warmup_steps=20, learning_rate=1.0)
    rates = [learning_rate(step, settings) for step in range(40)]
    assert max(abs(a - b) for a, b in pairwise(rates)) < 0.1


def test_norms_and_biases_do_not_decay_and_frozen_parameters_are_left_out():
    stage = Doubling()
    stage.linear.bias.requires_grad_(False)
    groups = build_optimizer(stage, config(weight_decay=0.1)).param_groups
    shapes = {group["weight_decay"]: [tuple(p.shape) for p in group["params"]] for group in groups}
    assert shapes == {0.1: [(4, 4)], 0.0: [(4,), (4,)]}


def test_a_mask_decoder_learns_at_its_own_rate():
    model = skeleton("efficientvit-sam-b0")
    groups = build_optimizer(model, config(decoder_rate=0.2)).param_groups
    scales = {parameter: group["scale"] for group in groups for parameter in group["params"]}
    assert {scales[parameter] for parameter in model.mask_decoder.parameters()} == {0.2}
    assert {scales[parameter] for parameter in model.image_encoder.parameters()} == {1.0}


def test_the_average_moves_by_the_decay_and_copies_counters():
    module = nn.BatchNorm1d(1)
    ema = Ema(module, decay=0.9)
    module.weight.data.fill_(2.0)
    module.num_batches_tracked.fill_(7)
    ema.update(module, step=10_000)
    assert torch.allclose(ema.state["weight"], torch.tensor([1.1]))
    assert ema.state["num_batches_tracked"] == 7


def test_the_first_update_forgets_most_of_the_random_start():
    module = nn.Linear(1, 1, bias=False)
    ema = Ema(module, decay=0.999)
    module.weight.data.fill_(5.0)
    ema.state["weight"].fill_(0.0)
    ema.update(module, step=0)
    assert torch.allclose(ema.state["weight"], torch.tensor([[4.5]]))


@pytest.mark.parametrize(
    ("name", "ndim", "vectors", "by_name"),
    [
        ("image_encoder.conv.weight", 4, True, True),
        ("image_encoder.norm.weight", 1, False, False),
        ("mask_decoder.iou_token.weight", 2, True, True),  # an embedding
        ("mask_decoder.output_upscaling.1.weight", 1, False, True),  # a channel norm whose name does not tell
        ("image_encoder.proj.bias", 1, False, False),
    ],
)
def test_which_parameters_decay_is_as_the_sources_say(name, ndim, vectors, by_name):
    parameter = torch.zeros((2,) * ndim)
    assert decays(name, parameter, "vectors") == vectors
    assert decays(name, parameter, "by-name") == by_name


@pytest.mark.parametrize(
    (
        "name",
        "blocks",
    ),  # TinyViT: depths 2, 2, 6, 2 of the official code; RepViT: stem, 23 blocks, 3 down
    [("mobile-sam", 12), ("sam-vit-b", 12), ("efficientvit-sam-b0", 12), ("edge-sam", 27)],
)
def test_early_layers_learn_slower_by_a_power_for_each_block(name, blocks):
    model = skeleton(name)
    scales = layer_scales(model, 0.5)
    assert sorted(set(scales.values())) == [0.5**n for n in reversed(range(blocks))]
    assert list(scales.values()) == sorted(scales.values())
    assert {scales.get(parameter, 1.0) for parameter in model.image_encoder.neck.parameters()} == {1.0}
    assert not any(parameter in scales for parameter in model.mask_decoder.parameters())


def test_the_decay_by_layers_needs_a_network_that_says_its_layers():
    assert layer_scales(small_sam(), 1.0) == {}
    model = small_sam()
    assert {group["scale"] for group in build_optimizer(model, config(layer_decay=0.8)).param_groups} == {0.8, 1.0}
    model.image_encoder = nn.Sequential(*model.image_encoder)
    with pytest.raises(ModelError, match="layer_decay needs the blocks"):
        build_optimizer(model, config(layer_decay=0.8))


def test_tables_of_positions_do_not_decay():
    model = skeleton("mobile-sam")
    groups = build_optimizer(model, config(weight_decay=0.1)).param_groups
    decay = {parameter: group["weight_decay"] for group in groups for parameter in group["params"]}
    tables = [p for name, p in model.named_parameters() if name.endswith("attention_biases")]
    assert len(tables) == 10
    assert {decay[table] for table in tables} == {0.0}


@pytest.mark.parametrize(
    ("value", "norm", "expected"),
    [(0.0, 0.0, [3.0, -4.0]), (2.0, 0.0, [2.0, -2.0]), (0.0, 1.0, [0.6, -0.8]), (3.0, 3.0, [2.1213, -2.1213])],
)
def test_gradients_are_clipped_one_by_one_and_then_together(value, norm, expected):
    module = nn.Linear(2, 1, bias=False)
    module.weight.grad = torch.tensor([[3.0, -4.0]])
    assert clip(module, config(clip_value=value, clip_norm=norm)) == pytest.approx(5.0)
    assert module.weight.grad[0].tolist() == pytest.approx(expected, abs=1e-3)


def test_adaptive_clipping_limits_each_unit_by_its_weights_and_spares_the_last_layer():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    parameters = list(network.parameters())
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 10.0)
    network[0].weight.grad[0] = torch.tensor([0.03, 0.04])  # small already
    clip_adaptively(parameters, 0.1)
    assert torch.allclose(network[0].weight.grad[0], torch.tensor([0.03, 0.04]))
    assert torch.linalg.vector_norm(network[0].weight.grad[1]).item() == pytest.approx(0.1 * 1e-3)  # of weights of zero
    assert torch.linalg.vector_norm(network[1].weight.grad).item() == pytest.approx(0.1 * 2**0.5)  # a vector as a whole
    assert (network[2].weight.grad == 10).all()
    assert (network[2].bias.grad == 10).all()
