"""The guide to a new encoder runs: its file is written, its Python and its commands are run on three photos."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from samlet.cli.eval import app as eval_app
from samlet.cli.train import app
from samlet.models import create
from samlet.models.registry import get_spec
from samlet.training import recipes
from samlet.training.config import PromptedConfig, TrainConfig
from samlet.training.stages import students

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "add-an-encoder.md").read_text(encoding="utf-8")
TINY = ROOT / "tests" / "fixtures" / "tiny"
OWN = "grid_net:SPEC"
ENCODER, CHECK, LOAD = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


def commands(verb: str) -> list[list[str]]:
    """The words after `samlet VERB` of every such command in the guide."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)).replace("\\\n", " ")
    found = [shlex.split(line) for line in blocks.splitlines() if line.startswith(f"samlet {verb} ")]
    return [words[2:] for words in found]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the guide's files lie; its teacher is another encoder of the same kind, every recipe is two steps long."""
    (tmp_path / "grid_net.py").write_text(ENCODER, encoding="utf-8")
    (tmp_path / "photos").mkdir()
    for file in [*TINY.glob("tiny_camera.*"), *TINY.glob("tiny_coins.*"), *TINY.glob("tiny_cat.*")]:
        shutil.copy(file, tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "grid_net", raising=False)
    torch.manual_seed(1)
    torch.save(create(OWN).state_dict(), tmp_path / "mobile_sam.pt")
    monkeypatch.setattr(students, "create", lambda spec, *_: create(OWN if spec.name == "mobile-sam" else spec))
    chosen = recipes.get_recipe

    def short(*arguments: object, **changes: object) -> TrainConfig:
        config = replace(chosen(*arguments, **changes), steps=2, batch_size=1, canvases=((0.5, 64), (1.0, 96)))
        return replace(config, masks_per_image=1) if isinstance(config, PromptedConfig) else config

    monkeypatch.setattr(recipes, "get_recipe", short)
    return tmp_path


def test_the_encoder_of_the_guide_is_built_trained_and_loaded(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(CHECK, "the guide's check", "exec"), {})
    trained = [words for words in commands("train") if "grid_net:SPEC" in words]
    for words in trained:
        app(words, result_action="return_value")
    assert [words[0] for words in trained] == ["distill-encoder", "finetune"]
    exec(compile(LOAD, "the guide's loading", "exec"), {})
    assert "multiply-accumulates an image" in capsys.readouterr().out
    before, after = (load_file(folder / run / "student.safetensors") for run in ("runs/grid1", "runs/grid2"))
    assert before.keys() == after.keys() == create(OWN).state_dict().keys()
    assert any(not torch.equal(before[name], after[name]) for name in before if name.startswith("image_encoder."))


def test_its_other_commands_are_commands() -> None:
    for words in commands("eval"):
        eval_app.parse_args(words, exit_on_error=False, print_error=False)
    assert len(commands("export")) == 2
    students = [words[words.index("--student") + 1] for words in commands("train")]
    assert get_spec(students[-1]).name == "timm:mobilenetv4_conv_small" == commands("export")[-1][0]
