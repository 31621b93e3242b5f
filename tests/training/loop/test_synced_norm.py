"""Batch norms over all processes: alone they are torch's; two processes with half of a batch each are one."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from tests.training.joined import logged, run_joined
from tests.training.real_stage import train_real
from torch import nn

from samlet.training.loop.batch_norm import set_training, sync_statistics
from samlet.training.loop.synced_norm import SyncedBatchNorm, sync_norms

STEPS = {"learning_rate": 1e-4}  # a larger one turns the last digits of a gradient into steps of their own

PROGRAM = f"""
import sys
from pathlib import Path
from samlet.training.loop.processes import joined
from tests.training.real_stage import train_real

with joined():
    train_real(Path(sys.argv[1]), **{STEPS})
"""


@pytest.mark.parametrize(("norm", "shape"), [(nn.BatchNorm2d, (3, 5, 4, 6)), (nn.BatchNorm1d, (7, 5))])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_alone_it_computes_what_torch_computes(norm, shape, momentum):
    torch.manual_seed(0)
    plain, other = norm(5, momentum=momentum), norm(5, momentum=momentum)
    nn.init.normal_(plain.weight)
    other.load_state_dict(plain.state_dict())
    synced = SyncedBatchNorm.of(other)
    for _ in range(2):
        x = (3 * torch.randn(shape) + 20).requires_grad_()
        y = x.detach().clone().requires_grad_()
        wanted, found = plain(x), synced(y)
        assert torch.allclose(found, wanted, atol=1e-5)
        (wanted.square() * wanted).sum().backward()
        (found.square() * found).sum().backward()
        assert torch.allclose(y.grad, x.grad, atol=1e-4)
    assert torch.allclose(synced.weight.grad, plain.weight.grad, rtol=1e-4)
    assert torch.allclose(synced.running_mean, plain.running_mean)
    assert torch.allclose(synced.running_var, plain.running_var, rtol=1e-4)
    assert torch.allclose(synced.eval()(x), plain.eval()(x), atol=1e-5)


def test_norms_are_replaced_wherever_they_are_and_keep_names_and_state():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    weight = model[1][0].weight
    sync_norms(model)
    assert isinstance(model[1][0], SyncedBatchNorm)
    assert model[1][0].weight is weight
    assert {name: value.tolist() for name, value in model.state_dict().items()} == {
        name: value.tolist() for name, value in before.items()
    }
    set_training(model, "frozen")
    assert not model[1][0].training


def test_a_process_alone_keeps_torchs_norms():
    model = nn.Sequential(nn.BatchNorm2d(4))
    sync_statistics(model, "synced", torch.device("cpu"))
    assert type(model[0]) is nn.BatchNorm2d


@pytest.mark.slow
def test_two_processes_train_the_real_student_that_one_trains(tmp_path):
    """efficientvit-sam-b0 learns embeddings: of two processes each normalizes over all four images of a step."""
    one, two = tmp_path / "one", tmp_path / "two"
    train_real(one, **STEPS)
    run_joined(PROGRAM, 2, two)
    for name in ("loss", "grad_norm"):
        assert sum(logged(two, name), ()) == pytest.approx(sum(logged(one, name), ()), rel=1e-3)
    wanted, found = (load_file(folder / "student.safetensors") for folder in (one, two))
    norms = [name.removesuffix("running_mean") for name in wanted if name.endswith("running_mean")]
    assert len(norms) >= 30
    for norm in norms:
        mean, variance = f"{norm}running_mean", f"{norm}running_var"
        assert torch.allclose(found[variance], wanted[variance], rtol=1e-3), norm
        assert ((found[mean] - wanted[mean]).abs() < 1e-3 * wanted[variance].sqrt()).all(), norm
