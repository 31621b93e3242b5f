"""Files that hold the weights otherwise: timm's names, matrices, another resolution, a second head."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests import filler
from torch import Tensor

from samlet.classes import ClassList
from samlet.errors import CheckpointError
from samlet.models import create, load_checkpoint
from samlet.models.creation import skeleton
from samlet.models.efficientvit_m.files import from_timm_names, to_timm_names
from samlet.models.registry import get_spec
from samlet.spec import ModelSpec

NAME = "efficientvit-m0"


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return filler.fill_(create(NAME)).state_dict()


def loaded(path, content, spec: ModelSpec | str = NAME):
    torch.save({"model": content}, path)
    model = create(spec)
    load_checkpoint(model, path)
    return model


# What timm calls a layer of each kind, from the names of its `efficientvit_m0.r224_in1k`.
TIMM = {
    "patch_embed.0.c.weight": "patch_embed.conv1.conv.weight",
    "patch_embed.6.bn.bias": "patch_embed.conv4.bn.bias",
    "blocks1.0.dw0.m.c.weight": "stages.0.blocks.0.dw0.m.conv.weight",
    "blocks1.0.mixer.m.attn.attention_biases": "stages.0.blocks.0.mixer.m.attn.attention_biases",
    "blocks2.0.1.m.pw1.c.weight": "stages.1.downsample.res1.1.m.pw1.conv.weight",
    "blocks2.1.se.fc1.weight": "stages.1.downsample.patchmerge.se.fc1.weight",
    "blocks2.2.0.m.bn.running_var": "stages.1.downsample.res2.0.m.bn.running_var",
    "blocks3.5.ffn1.m.pw2.bn.weight": "stages.2.blocks.2.ffn1.m.pw2.bn.weight",
    "blocks3.4.mixer.m.attn.qkvs.3.c.weight": "stages.2.blocks.1.mixer.m.attn.qkvs.3.conv.weight",
    "blocks3.3.mixer.m.attn.proj.1.c.weight": "stages.2.blocks.0.mixer.m.attn.proj.1.conv.weight",
    "head.l.weight": "head.linear.weight",
    "head.bn.bias": "head.bn.bias",
}


def test_timms_names() -> None:
    assert {name: next(iter(to_timm_names({name: 0}))) for name in TIMM} == TIMM


@pytest.mark.parametrize("name", ["efficientvit-m0", "efficientvit-m5", "cascadedvit-s"])
def test_names_come_back_from_timm_one_by_one(name: str) -> None:
    names = [key for key in skeleton(name).state_dict() if not key.endswith("attention_bias_idxs")]
    renamed = to_timm_names(skeleton(name).state_dict())
    assert len(renamed) == len(names)
    assert not any(".c." in key or key.startswith("blocks") or "idxs" in key for key in renamed)
    assert list(from_timm_names(renamed)) == names


def test_a_file_of_timm_gives_the_same_bits(state, tmp_path) -> None:
    model = loaded(tmp_path / "timm.pth", to_timm_names(state))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_weights_stored_as_matrices_and_a_second_head(state, tmp_path) -> None:
    flat = {name: value[:, :, 0, 0] if value.shape[2:] == (1, 1) else value for name, value in state.items()}
    assert sum(value.ndim == 2 for value in flat.values()) > sum(value.ndim == 2 for value in state.values())
    extra = {"head_dist.bn.weight": torch.ones(192), "head_dist.l.bias": torch.ones(1000)}
    model = loaded(tmp_path / "official.pth", flat | extra)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_a_second_head_is_kept_by_a_network_that_has_one(tmp_path) -> None:
    spec = get_spec(NAME)
    spec = replace(spec, options=dict(spec.options) | {"distilled": True})
    state = filler.fill_(create(spec)).state_dict()
    model = loaded(tmp_path / "two.pth", state, spec)
    assert torch.equal(model.head_dist.l.weight, state["head_dist.l.weight"])
    pixels = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert model(pixels).shape == (1, 1000)
        model.training = True  # of the network alone: its batch norms keep their statistics
        assert [head.shape for head in model(pixels)] == [(1, 1000), (1, 1000)]


def test_bias_tables_are_resized_for_another_resolution(state, tmp_path) -> None:
    spec = get_spec(NAME)
    spec = replace(spec, image=replace(spec.image, canvas=384))
    model = loaded(tmp_path / "m0.pth", state, spec)
    key = "blocks3.3.mixer.m.attn.attention_biases"
    table, resized = state[key], model.state_dict()[key]
    assert (table.shape, resized.shape) == ((4, 16), (4, 36))
    expected = torch.nn.functional.interpolate(table.reshape(1, 4, 4, 4), (6, 6), mode="bicubic")
    torch.testing.assert_close(resized.reshape(1, 4, 6, 6), expected)
    same = "blocks1.0.mixer.m.attn.attention_biases"
    assert torch.equal(model.state_dict()[same], state[same])
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 384, 384)).shape == (1, 1000)


def test_another_number_of_classes_is_said(state, tmp_path) -> None:
    few = get_spec(NAME).with_classes(ClassList("pets", ("cat", "dog")))
    with pytest.raises(CheckpointError, match="is efficientvit-m0 for 1000 classes, not for its 2: give the names"):
        loaded(tmp_path / "m0.pth", state, few)
    two = create(few).state_dict()
    with pytest.raises(CheckpointError, match="for 2 classes, not for its 1000"):
        loaded(tmp_path / "two.pth", two)


def test_the_checkpoint_of_a_segmenter_names_the_verb(tmp_path) -> None:
    names = skeleton("efficientvit-seg-b0-cityscapes").state_dict()
    content = {name: torch.zeros(()).expand(value.shape) for name, value in names.items()}
    with pytest.raises(CheckpointError, match="load it as efficientvit-seg-b0-cityscapes, which `samlet parse` runs"):
        loaded(tmp_path / "seg.pth", content)
