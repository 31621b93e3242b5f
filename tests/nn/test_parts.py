"""What every network says of itself."""

from __future__ import annotations

import pytest
from tests.training.small_sam import small_sam
from torch import nn

from samlet.errors import ModelError
from samlet.models.creation import skeleton
from samlet.models.registry import MODELS
from samlet.nn.layers import LayerNorm2d
from samlet.nn.parts import attention_projections, float32_layers, no_weight_decay, ordered_blocks, with_blocks

NAMES = [spec.name for spec in MODELS if spec.task == "promptable"]
# Attentions with one layer for queries, keys and values and one for the result; RepViT has none.
PROJECTIONS = {
    "sam-vit-b": 24,
    "sam-vit-l": 48,
    "sam-vit-h": 64,
    "mobile-sam": 20,
    "efficientvit-sam-b0": 8,
    "edge-sam": 0,
    "edge-sam-rpn": 0,
    "repvit-sam": 0,
}


@pytest.mark.parametrize("name", NAMES)
def test_every_encoder_says_its_blocks_once_and_in_order(name):
    model = skeleton(name)
    blocks = ordered_blocks(model, "a test")
    assert len(blocks) >= 12
    order = {parameter: number for number, parameter in enumerate(model.image_encoder.parameters())}
    places = [order[parameter] for block in blocks for parameter in block.parameters()]
    assert places == sorted(set(places))
    inside = sum(p.numel() for block in blocks for p in block.parameters())
    assert inside > 0.4 * sum(p.numel() for p in model.image_encoder.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_every_attention_says_its_projections(name):
    model = skeleton(name)
    assert len(attention_projections(model.mask_decoder)) == 28  # q, k, v, out of 7 attentions
    layers = attention_projections(model.image_encoder)
    if name in PROJECTIONS:
        assert len(layers) == PROJECTIONS[name]
    assert len(set(layers)) == len(layers)
    assert all(isinstance(layer, nn.Linear) or layer.kernel_size == (1, 1) for layer in layers)


@pytest.mark.parametrize("name", NAMES)
def test_norms_stay_float32_and_tables_of_positions_do_not_decay(name):
    model = skeleton(name)
    assert {m for m in model.image_encoder.modules() if isinstance(m, LayerNorm2d)} <= set(
        float32_layers(model.image_encoder)
    )
    tables = set(no_weight_decay(model))
    names = {name for name, p in model.named_parameters() if p in tables}
    assert all(name.endswith("attention_biases") for name in names)
    assert bool(names) == name.startswith("mobile-sam")


def test_a_network_may_say_more_than_its_norms():
    class Own(nn.Sequential):
        def float32_layers(self):
            return [self[0]]

    own = Own(nn.Linear(2, 2), nn.LayerNorm(2))
    assert float32_layers(own) == [own[0]]


def test_a_network_that_says_nothing_is_named_with_what_to_do():
    model = small_sam()
    model.image_encoder = nn.Sequential(*model.image_encoder)
    with pytest.raises(ModelError, match=r"layer_decay needs .* Sequential does not say .* ordered_blocks"):
        ordered_blocks(model, "layer_decay")
    assert with_blocks(model) == []
    assert attention_projections(nn.Conv2d(3, 3, 1)) == []


def test_of_nested_networks_the_outermost_speaks():
    class Stack(nn.Sequential):
        def ordered_blocks(self):
            return list(self)

    stack = Stack(Stack(nn.Linear(1, 1), nn.Linear(1, 1)), nn.Linear(1, 1))
    assert ordered_blocks(nn.Sequential(stack), "a test") == [stack[0], stack[1]]
