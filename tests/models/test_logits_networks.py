"""Every classifier and segmenter: official names, official numbers, published costs, and what it says of itself."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from tests import filler, parity

from samlet.errors import ModelError
from samlet.models import create
from samlet.models.cost import count_encoder_macs, count_parameters
from samlet.models.creation import skeleton
from samlet.models.registry import MODELS, UNLISTED
from samlet.nn.network import LogitsNetwork
from samlet.nn.parts import attention_projections, ordered_blocks

SPECS = {spec.name: spec for spec in (*MODELS, *UNLISTED) if spec.task in ("classification", "semantic_segmentation")}
LISTED = [spec.name for spec in MODELS if spec.name in SPECS]
SKELETON = cache(skeleton)
MILLION, GIGA = 1e6, 1e9

# Parameters in M, multiply-accumulates in G; those of Cityscapes at 1024 x 2048, of ADE20K at 512 x 512 pixels.
PUBLISHED = {
    "efficientvit-b0": (3.410, 0.100),
    "efficientvit-b1": (9.102, 0.519),
    "efficientvit-b2": (24.331, 1.585),
    "efficientvit-b3": (48.646, 3.954),
    "efficientvit-l1": (52.654, 5.258),
    "efficientvit-l2": (63.707, 6.950),
    "efficientvit-l3": (246.037, 27.587),
    "efficientvit-seg-b0-cityscapes": (0.707, 4.39),
    "efficientvit-seg-b1-cityscapes": (4.803, 25.11),
    "efficientvit-seg-b2-cityscapes": (15.324, 73.64),
    "efficientvit-seg-b3-cityscapes": (39.603, 179.23),
    "efficientvit-seg-l1-cityscapes": (40.242, 282.48),
    "efficientvit-seg-l2-cityscapes": (52.608, 396.12),
    "efficientvit-seg-b1-ade20k": (4.791, 3.09),
    "efficientvit-seg-b2-ade20k": (15.293, 9.08),
    "efficientvit-seg-b3-ade20k": (39.546, 22.17),
    "efficientvit-seg-l1-ade20k": (40.410, 36.34),
    "efficientvit-seg-l2-ade20k": (51.462, 45.18),
}


@pytest.mark.parametrize("name", LISTED)
def test_a_network_says_what_it_is(name: str) -> None:
    model, spec = SKELETON(name), SPECS[name]
    assert isinstance(model, LogitsNetwork)
    assert not any(module.training for module in model.modules())
    pixels = torch.empty(2, 3, spec.image.canvas, spec.image.canvas, device="meta")
    grid = () if spec.task == "classification" else (spec.image.canvas // 8, spec.image.canvas // 8)
    assert model(pixels).shape == (2, len(spec.classes), *grid)
    places = {id(parameter): number for number, parameter in enumerate(model.parameters())}
    order = [places[id(p)] for block in ordered_blocks(model, "a test") for p in block.parameters()]
    assert order == sorted(set(order))
    assert attention_projections(model)


@pytest.mark.parametrize("name", parity.models_with("logits"))
def test_official_numbers(name: str) -> None:
    numbers = parity.numbers(name)
    model = filler.fill_(create(name))
    for case in numbers["logits"]:
        pixels = torch.from_numpy(filler.array(case["input"]["name"], *case["input"]["shape"]))
        with torch.no_grad():
            seen = {f"stage{i}": found for i, found in enumerate(model.backbone(pixels))} | {"logits": model(pixels)}
        assert parity.wrong({name: (seen[name], digest) for name, digest in case["outputs"].items()}) == {}


@pytest.mark.parametrize("name", PUBLISHED)
def test_costs_are_the_published_ones(name: str) -> None:
    size_hw = (1024, 2048) if name.endswith("cityscapes") else None
    parameters, macs = PUBLISHED[name]
    assert count_parameters(SKELETON(name)) / MILLION == pytest.approx(parameters, rel=0, abs=5.1e-4)
    digits = 5.1e-4 if size_hw is None and "seg" not in name else 5.1e-3
    assert count_encoder_macs(SKELETON(name), size_hw) / GIGA == pytest.approx(macs, rel=0, abs=digits)


@pytest.mark.parametrize("name", ["efficientvit-b0", "efficientvit-seg-b0-cityscapes"])
def test_any_number_of_classes(name: str) -> None:
    spec = SPECS[name]
    few = spec.with_classes(type(spec.classes)("pets", ("cat", "dog", "none")))
    assert skeleton(few)(torch.empty(1, 3, 64, 64, device="meta")).shape[1] == 3
    assert (few.checkpoint, few.parameters) == (None, 0)


def test_create_insists_on_a_task() -> None:
    with pytest.raises(ModelError, match=r"efficientvit-b0 is a model for classification; .* use `samlet classify`"):
        create("efficientvit-b0", "promptable")
    assert create("efficientvit-b0", "classification").device.type == "cpu"


def test_files_for_larger_images_are_found_by_name() -> None:
    assert SPECS["efficientvit-l2-r384"].image.canvas == 384
    assert "efficientvit-l2-r384" not in LISTED
