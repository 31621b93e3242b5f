from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from samlet.errors import TrainingError
from samlet.models import create, load_checkpoint
from samlet.training.widen import widen, widened

NARROW, WIDE = "efficientvit-sam-b0", "efficientvit-sam-b1"


@pytest.fixture(scope="module")
def narrow():
    torch.manual_seed(3)
    model = create(NARROW)
    for module in model.image_encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as if trained: no two channels alike
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model.eval()


def test_the_wide_student_computes_what_the_narrow_one_does(narrow, tmp_path):
    save_file(narrow.state_dict(), tmp_path / "narrow.safetensors")
    wide = create(WIDE)
    load_checkpoint(wide, widen(tmp_path / "narrow.safetensors", NARROW, WIDE, tmp_path / "new" / "wide.safetensors"))
    pixels = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        expected, got = (model.eval().image_encoder(pixels) for model in (narrow, wide))
    assert (got - expected).abs().max() < 1e-4 * expected.std()


def test_twin_channels_part_when_they_learn(narrow):
    wide = create(WIDE).train()
    wide.load_state_dict(widened(narrow.state_dict(), wide.state_dict(), torch.Generator().manual_seed(0)))
    wide.image_encoder(torch.randn(2, 3, 64, 64)).square().mean().backward()
    first, second = wide.image_encoder.backbone.input_stem.op_list[0].conv.weight.grad.chunk(2)
    assert (first - second).abs().max() > 0.01 * first.abs().max()


def test_what_is_not_twice_as_wide_is_refused(narrow):
    with pytest.raises(TrainingError, match="doubles channels"):
        widened(narrow.state_dict(), create("efficientvit-sam-l0").state_dict(), torch.Generator())
