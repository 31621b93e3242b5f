"""Weights averaged: what is mean, what is kept, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from samlet.errors import CheckpointError, OutputError, TrainingError
from samlet.training.average import average


def saved(path: Path, value: float, dtype: torch.dtype = torch.float32, name: str = "weight", size: int = 3) -> Path:
    save_file({name: torch.full((size,), value, dtype=dtype), "steps": torch.tensor(int(value))}, path)
    return path


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_mean_is_taken_in_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    files = [saved(tmp_path / "a.safetensors", 1.0, dtype), saved(tmp_path / "b.safetensors", 4.0)]
    found = load_file(average(files, tmp_path / "new" / "mean.safetensors"))
    torch.testing.assert_close(found["weight"], torch.full((3,), 2.5))
    assert found["steps"] == 1  # a counter has no mean


@pytest.mark.parametrize("odd", [{"name": "bias"}, {"size": 4}], ids=str)
def test_weights_of_another_model_are_refused(tmp_path: Path, odd: dict) -> None:
    files = [saved(tmp_path / "a.safetensors", 1.0), saved(tmp_path / "b.safetensors", 2.0, **odd)]
    with pytest.raises(TrainingError, match=r"b\.safetensors and .*a\.safetensors differ in (bias|weight)"):
        average(files, tmp_path / "mean.safetensors")
    assert not (tmp_path / "mean.safetensors").exists()


def test_one_is_no_average(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="1 checkpoint given"):
        average([saved(tmp_path / "a.safetensors", 1.0)], tmp_path / "mean.safetensors")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        average([saved(tmp_path / "a.safetensors", 1.0), tmp_path / "gone.safetensors"], tmp_path / "mean.safetensors")


def test_a_mean_is_replaced_and_other_weights_are_not(tmp_path: Path) -> None:
    parts = [saved(tmp_path / "a.safetensors", 1), saved(tmp_path / "b.safetensors", 2)]
    average(parts, average(parts, tmp_path / "mean.safetensors"))
    with pytest.raises(OutputError, match=r"a\.safetensors.* was not written by samlet"):
        average(parts, parts[0])
    assert float(load_file(parts[0])["weight"][0]) == 1
