"""The commands of the guide to classes run as they stand, one after the other, on small networks and pictures."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.data.class_sets import write_classes, write_maps
from tests.training.small_networks import small_network

from samlet.cli import main
from samlet.models.registry import get_spec
from samlet.training import recipes
from samlet.training.config import TrainConfig
from samlet.training.stages import class_students, classify, semantic

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "train-a-classifier.md").read_text(encoding="utf-8")
SMALL = "tests.training.small_networks:small_network"


def commands() -> list[list[str]]:
    """The words after `samlet` of every command in the guide."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)).replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in blocks.splitlines() if line.startswith("samlet ")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the guide's files lie; every name means a small network, every recipe is two steps long."""
    for part in ("train", "val"):
        write_classes(tmp_path / "animals" / part, each=2)
        write_maps(tmp_path / "streets" / part, images=2)
    (tmp_path / "runs" / "large").mkdir(parents=True)
    (tmp_path / "checkpoints").mkdir()
    animals = small_network(class_students.student_spec(_config("classifier"), "classification"))
    save_file(animals.state_dict(), tmp_path / "runs" / "large" / "student.safetensors")
    encoder = {f"image_encoder.{name}": value for name, value in animals.state_dict().items() if "backbone" in name}
    save_file(encoder, tmp_path / "checkpoints" / "efficientvit-sam-b0.safetensors")
    chosen = recipes.get_recipe

    def short(*arguments: object, **changes: object) -> TrainConfig:
        return replace(chosen(*arguments, **changes), steps=2, batch_size=2, canvases=((1.0, 32),))

    monkeypatch.setattr(recipes, "get_recipe", short)
    monkeypatch.setattr(class_students, "create", small_network)
    real = class_students.student_spec
    # A weights file says who builds its network, and samlet eval builds it so.
    for stage in (classify, semantic):
        monkeypatch.setattr(stage, "student_spec", lambda *given: replace(real(*given), builder=SMALL, options={}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _config(name: str) -> TrainConfig:
    return replace(recipes.RECIPES[name](), classes=("cat", "dog"))


def test_the_commands_run_one_after_the_other(folder: Path) -> None:
    torch.manual_seed(0)
    for words in commands():
        assert main(words) == 0, words
    assert len(commands()) == 8
    assert (folder / "streets-parsed" / "set_0.labels.png").is_file()
    stages = {path.parent.name: json.loads(path.read_text()) for path in folder.glob("runs/*/config.json")}
    assert {name: config["stage"] for name, config in stages.items()} == {
        "animals": "classify",
        "streets": "semantic",
        "small": "classify",
    }
    assert stages["small"]["distill"] == "hard"
    assert 0 <= json.loads((folder / "runs/animals-val/report.json").read_text())["metrics"]["top_1"] <= 1
    assert json.loads((folder / "runs/streets-val/report.json").read_text())["metrics"]["miou"] is not None


def test_the_names_in_the_guide_are_known() -> None:
    for name in re.findall(r"`(\w+)`, …|^\| `(\w+)` \|", GUIDE, re.MULTILINE):
        assert next(filter(None, name)) in {*recipes.RECIPES}
    assert all(get_spec(name) for name in re.findall(r"--student ([\w-]+)", GUIDE))
