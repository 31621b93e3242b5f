from __future__ import annotations

import pytest
import torch
from tests.training.small_sam import small_sam
from tests.training.stages.test_finetune import batch_for, settings
from torch import nn

from samlet.errors import TrainingError
from samlet.training.loop.batch_norm import set_training
from samlet.training.stages.finetune import Finetune
from samlet.training.stages.lora import add_lora, merge

DECODER = ("mask_decoder",)


def trained(**changes):
    """A small segmenter after two steps with additions of rank 4, and its batch."""
    chosen = settings(lora=4, **changes)
    batch = batch_for(chosen)
    stage = Finetune(small_sam(), chosen)
    set_training(stage, chosen.batch_norm)
    optimizer = torch.optim.AdamW([p for p in stage.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        sum(stage(batch).values()).backward()
        optimizer.step()
    return stage.eval(), batch


def answers(stage, batch):
    with torch.no_grad():
        return stage.student(batch.pixels, batch.points_xy, batch.labels, None, batch.image_index)


def test_additions_change_nothing_at_first():
    chosen = settings(lora=4)
    batch = batch_for(chosen)
    plain, added = Finetune(small_sam(), settings()).eval(), Finetune(small_sam(), chosen).eval()
    assert all(torch.equal(a, b) for a, b in zip(answers(plain, batch), answers(added, batch), strict=True))


def test_only_the_additions_learn():
    stage, _ = trained()
    before = small_sam().state_dict()
    learning = {name for name, parameter in stage.student.named_parameters() if parameter.requires_grad}
    assert learning
    assert all(name.endswith((".up", ".down")) for name in learning)
    assert {name.split(".")[0] for name in learning} == {"image_encoder", "mask_decoder"}
    assert all(stage.student.get_parameter(name).abs().sum() > 0 for name in learning)
    state = stage.student.state_dict()
    for name, value in before.items():
        assert torch.equal(
            state.get(name, state.get(name.replace(".weight", ".parametrizations.weight.original"))), value
        )


def test_merged_weights_have_official_names_and_give_the_same_answers():
    stage, batch = trained()
    unmerged = answers(stage, batch)
    merge(stage.student)
    fresh = small_sam()
    assert set(stage.student.state_dict()) == set(fresh.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(answers(stage, batch), unmerged, strict=True))
    moved = [n for n, value in fresh.state_dict().items() if not torch.equal(stage.student.state_dict()[n], value)]
    assert moved
    assert all(name.endswith("weight") for name in moved)


def test_a_frozen_encoder_gets_no_additions():
    stage, _ = trained(frozen=("image_encoder", "prompt_encoder"))
    learning = {name.split(".")[0] for name, p in stage.student.named_parameters() if p.requires_grad}
    assert learning == {"mask_decoder"}


def test_merging_a_model_without_additions_leaves_it():
    model = small_sam()
    merge(model)
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), small_sam().state_dict().values(), strict=True)
    )


def test_a_part_without_attention_is_refused():
    model = small_sam()
    model.image_encoder = nn.Conv2d(3, 32, 1)
    with pytest.raises(TrainingError, match="no attention to add to"):
        add_lora(model, 4, ("image_encoder",), 0)
