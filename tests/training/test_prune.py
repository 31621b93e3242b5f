"""Pruning keeps what matters: with units that say nothing left out, the network computes what it did."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from samlet.errors import CheckpointError
from samlet.models import create, load_checkpoint
from samlet.models.mobile_sam.network import MBConv
from samlet.nn.layers import resize_bicubic
from samlet.training.batches.sources import open_source
from samlet.training.prune import copy_pruned, prune


@pytest.fixture(scope="module")
def teacher():
    """MobileSAM as if trained, all but 90 of whose hidden units never change."""
    torch.manual_seed(2)
    model = create("mobile-sam")
    with torch.no_grad():
        for module in model.image_encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2)
        for block in model.image_encoder.ordered_blocks():
            constant = torch.randperm(_hidden(block))[: _hidden(block) - 90]
            if isinstance(block, MBConv):
                block.conv2.bn.weight[constant] = 0
                block.conv2.bn.bias[constant] = torch.rand(len(constant))
            else:
                block.mlp.fc1.weight[constant] = 0
                block.mlp.fc1.bias[constant] = torch.rand(len(constant))
    return model.eval()


def _hidden(block) -> int:
    return len(block.conv1.c.weight) if isinstance(block, MBConv) else block.mlp.fc1.out_features


def test_units_that_never_change_can_go_at_no_loss(teacher) -> None:
    slim = create("mobile-sam-slim")
    pixels = torch.randn(1, 3, 448, 448)
    copy_pruned(teacher, slim, [pixels])
    with torch.no_grad():
        x = teacher.image_encoder.patch_embed(pixels)
        for stage in teacher.image_encoder.layers:
            x = stage(x)
        neck = teacher.image_encoder.neck
        expected = neck[3](resize_bicubic(neck[2](neck[1](neck[0](x))), (64, 64)))
        got = slim.eval().image_encoder(pixels)
    assert (got - expected).abs().max() < 1e-3 * expected.std()


def test_units_that_matter_stay(teacher) -> None:
    slim = create("mobile-sam-slim")
    noise = torch.randn(1, 3, 448, 448)
    copy_pruned(teacher, slim, [noise])
    block, own = (model.image_encoder.layers[1].get_submodule("blocks.0.mlp.fc1") for model in (teacher, slim))
    kept = {tuple(row[:4].tolist()) for row in own.weight}
    varying = [row for row in block.weight if row.abs().max() > 0]
    assert len(varying) == 90
    assert all(tuple(row[:4].tolist()) in kept for row in varying)


def test_the_file_is_a_start_for_the_slim_model(teacher, tmp_path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)).save(tmp_path / "a.png")
    save_file(teacher.state_dict(), tmp_path / "teacher.safetensors")
    start = prune(tmp_path / "teacher.safetensors", open_source([tmp_path]), tmp_path / "new" / "start.safetensors")
    slim = create("mobile-sam-slim")
    load_checkpoint(slim, start)
    theirs, own = teacher.mask_decoder.iou_token.weight, slim.mask_decoder.iou_token.weight
    assert torch.equal(theirs, own)


def test_a_teacher_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(CheckpointError, match=r"teacher\.safetensors"):
        prune(tmp_path / "teacher.safetensors", [], tmp_path / "start.safetensors")
