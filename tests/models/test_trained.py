"""Weights that say what they are of: written by training, read without torch, loaded without a name."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from samlet import loading
from samlet.classes import ClassList
from samlet.errors import CheckpointError, ModelError
from samlet.models import create
from samlet.models.registry import get_spec
from samlet.models.trained import KEY, trained_spec
from samlet.training.loop.checkpoint import save_student


@pytest.fixture
def student(tmp_path):
    """A small classifier of three classes with weights of its own."""
    spec = get_spec("efficientvit-m0").with_classes(ClassList("own", ("a", "b", "c")))
    spec = replace(spec, image=replace(spec.image, canvas=28), options={**spec.options, "patch_stride": 4})
    torch.manual_seed(0)
    network = create(spec)
    return network, save_student(tmp_path, network)


def test_a_trained_classifier_loads_by_its_weights_alone(student):
    network, weights = student
    assert trained_spec(weights) == network.spec
    model = loading.load(checkpoint=weights, backend="torch", task="classification")
    image = np.full((40, 30, 3), 200, np.uint8)
    assert model.class_names == ("a", "b", "c")
    with torch.no_grad():
        wanted = network(torch.from_numpy(model.pixels(image))[None])
    assert np.allclose(model.logits([image]), wanted.numpy(), atol=1e-4)
    assert loading.spec_of(checkpoint=weights) == network.spec
    assert loading.load("efficientvit-m0", checkpoint=weights, backend="torch").class_names == ("a", "b", "c")


def test_another_name_and_another_task_are_refused(student):
    _, weights = student
    with pytest.raises(CheckpointError, match="holds the model efficientvit-m0, not efficientvit-m1"):
        loading.load("efficientvit-m1", checkpoint=weights)
    with pytest.raises(ModelError, match="use `samlet classify`"):
        loading.load(checkpoint=weights, task="semantic_segmentation")


def test_files_that_say_nothing_or_nonsense(tmp_path):
    plain, wrong = tmp_path / "plain.safetensors", tmp_path / "wrong.safetensors"
    save_file({"x": torch.ones(1)}, plain)
    assert trained_spec(plain) is None
    assert trained_spec(tmp_path / "weights.pth") is None
    assert trained_spec(tmp_path / "none.safetensors") is None
    for text in ("{", json.dumps({"name": "x"})):
        save_file({"x": torch.ones(1)}, wrong, {KEY: text})
        with pytest.raises(CheckpointError, match=r"wrong\.safetensors"):
            trained_spec(wrong)
    plain.write_bytes(b"\x10\0\0\0\0\0\0\0 no table at all  ")
    with pytest.raises(CheckpointError, match=r"plain\.safetensors"):
        trained_spec(plain)
    plain.write_bytes(b"")
    assert trained_spec(plain) is None
