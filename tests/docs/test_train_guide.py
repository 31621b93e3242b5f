"""The commands of the training guide run as they stand, one after the other, on three photos and a small segmenter."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.training.small_sam import small_sam

from samlet.cli.eval import app as eval_app
from samlet.cli.train import app
from samlet.training import recipes, teacher_masks
from samlet.training.config import PromptedConfig, TrainConfig
from samlet.training.stages import students

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "train.md").read_text(encoding="utf-8")
TINY = ROOT / "tests" / "fixtures" / "tiny"


def commands(verb: str) -> list[list[str]]:
    """The words after `samlet VERB` of every such command in the guide."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)).replace("\\\n", " ")
    found = [shlex.split(line) for line in blocks.splitlines() if line.startswith(f"samlet {verb} ")]
    return [words[2:] for words in found]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the guide's files lie; every name means the small segmenter, every recipe is two steps long."""
    (tmp_path / "photos").mkdir()
    for file in [*TINY.glob("tiny_camera.*"), *TINY.glob("tiny_coins.*"), TINY / "tiny_cat.jpg"]:
        shutil.copy(file, tmp_path / "photos")
    (tmp_path / "checkpoints").mkdir()
    save_file(small_sam(1).state_dict(), tmp_path / "checkpoints" / "mobile-sam-slim.safetensors")
    torch.save(small_sam(2).state_dict(), tmp_path / "mobile_sam.pt")
    chosen = recipes.get_recipe

    def short(*arguments: object, **changes: object) -> TrainConfig:
        config = replace(chosen(*arguments, **changes), steps=2, batch_size=1, canvases=((1.0, 64),))
        return replace(config, masks_per_image=1) if isinstance(config, PromptedConfig) else config

    monkeypatch.setattr(recipes, "get_recipe", short)
    monkeypatch.setattr(students, "create", lambda *_: small_sam())
    monkeypatch.setattr(students, "promptable", lambda name: name)
    write = teacher_masks.write_teacher_masks
    monkeypatch.setattr(
        teacher_masks,
        "write_teacher_masks",
        lambda data, teacher, config, to, _, told: write(data, teacher, config, to, 2, told),
    )
    monkeypatch.setattr(teacher_masks, "_is_sure", lambda mask: mask.area_px > 0)  # no teacher with random weights is
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_training_commands_run_one_after_the_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in commands("train"):
        app(words, result_action="return_value")
    assert len(commands("train")) == 10
    stages = {path.parent.name: json.loads(path.read_text()) for path in folder.glob("runs/*/config.json")}
    assert {name: config["stage"] for name, config in stages.items()} == {
        "mine": "finetune",
        "stage1": "distill-encoder",
        "stage2": "distill-prompted",
        "stage3": "finetune",
        "both": "finetune",
        "decoder": "finetune",
        "lora": "finetune",
    }
    assert (stages["stage3"]["rounds"], stages["lora"]["lora"]) == (2, 8)
    assert stages["decoder"]["frozen"] == ["prompt_encoder", "image_encoder"]
    before = small_sam(1).state_dict()
    moved = {name: moved_parts(before, load_file(folder / "runs" / name / "student.safetensors")) for name in stages}
    assert moved["mine"] == moved["lora"] == {"image_encoder", "mask_decoder"}
    assert moved["decoder"] == {"mask_decoder"}
    assert (folder / "curves.png").is_file()
    assert (folder / "mean.safetensors").is_file()
    assert "for want of a mask large enough to learn from: 1 of 3 images" in capsys.readouterr().err


def moved_parts(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    assert set(after) == set(before)
    return {name.split(".")[0] for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.mark.parametrize("words", commands("eval"))
def test_other_commands_are_commands(words: list[str]) -> None:
    eval_app.parse_args(words, exit_on_error=False, print_error=False)
