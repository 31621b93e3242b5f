"""RepViT-SAM: the last stage keeps the resolution; fusion. Names, costs and prompts are tested with every family's."""

from __future__ import annotations

import pytest
import torch
from tests import filler, parity
from torch import nn

from samlet.models import create
from samlet.models.cost import count_parameters
from samlet.models.creation import skeleton
from samlet.nn.fusion import fuse

FUSED_PARAMETERS = 23_040_480


def test_the_last_stage_keeps_the_resolution() -> None:
    blocks = list(skeleton("repvit-sam").image_encoder.features)
    strides = {i: blocks[i].token_mixer[0].c.stride[0] for i in (8, 16, 52)}  # those that widen
    assert strides == {8: 2, 16: 2, 52: 1}


def test_fusion_gives_the_official_number_of_parameters() -> None:
    model = skeleton("repvit-sam")
    fuse(model)
    assert count_parameters(model.image_encoder) == FUSED_PARAMETERS
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.slow
@torch.no_grad()
def test_the_fused_embedding_is_official() -> None:
    """In float64: from there the official float32 is 1.1e-5 of the std, and ours 2.1e-5 on one CPU."""
    model = filler.fill_(create("repvit-sam")).double()
    fuse(model)
    embedding = model.encode(torch.from_numpy(filler.array("encoder", 1, 3, 1024, 1024)).double())
    assert parity.wrong({"fused": (embedding, parity.numbers("repvit-sam")["fused"])}) == {}
