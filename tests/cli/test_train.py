"""The options of `samlet train`: what they change, what they are called, and what they were called before."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tests.training.finished_stage import finish

from samlet.cli import main
from samlet.cli.train import app
from samlet.training import program
from samlet.training.recipes import RECIPES
from samlet.training.stages.registry import STAGES

FINETUNE = ["finetune", "--checkpoint", "x", "--data", ".", "--output", "run"]


def changes(*words):
    """What options change of a recipe."""
    _, bound, _ = app.parse_args([*FINETUNE, *words], exit_on_error=False, print_error=False)
    given = bound.arguments["run"].changes()
    return {name: value for name, value in given.items() if value is not None}


def test_options_change_the_fields_they_are_named_after():
    assert changes() == {}
    words = ("--lr", "1e-4", "--grad-accum-steps", "2", "--precision", "bfloat16", "--fsdp", "--seed", "3")
    assert changes(*words) == {
        "learning_rate": 1e-4,
        "grad_accum_steps": 2,
        "precision": "bfloat16",
        "fsdp": True,
        "seed": 3,
    }
    assert changes("--learning-rate", "0.5") == {"learning_rate": 0.5}


@pytest.mark.parametrize(
    ("words", "field", "value", "new"),
    [
        (("--accumulate", "4"), "grad_accum_steps", 4, "--grad-accum-steps"),
        (("--sharded",), "fsdp", True, "--fsdp"),
        (("--precision", "bf16"), "precision", "bfloat16", "--precision bfloat16"),
    ],
)
def test_old_names_of_options_still_work_and_say_the_new_one(words, field, value, new):
    with pytest.warns(DeprecationWarning, match=f"is now {new}"):
        assert changes(*words) == {field: value}


@pytest.mark.parametrize("entry", STAGES, ids=lambda entry: entry.name)
def test_the_help_lists_the_stages_recipes_and_hides_old_names(entry, capsys):
    assert main(["train", entry.name, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    names = [name for name, recipe in RECIPES.items() if isinstance(recipe(), entry.config)]
    assert names
    assert all(name in text for name in names)
    assert "--accumulate" not in text
    assert "--sharded" not in text
    assert ("--teacher " in text) == (entry.needs_teacher or entry.takes_teacher)
    assert "--checkpoint " in text
    assert ("random ones" in text) != entry.needs_checkpoint


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--learning-rate", "-1"),
        ("--learning-rate", "nan"),
        ("--epochs", "0"),
        ("--precision", "x"),
        ("--workers", "-1"),
    ],
)
def test_numbers_out_of_bounds_are_refused_with_the_option(option, value, capsys):
    assert main(["train", *FINETUNE, option, value]) == 2
    assert option in capsys.readouterr().err


def test_steps_and_epochs_exclude_each_other(capsys):
    assert main(["train", *FINETUNE, "--steps", "2", "--epochs", "1"]) == 2
    assert "give one of them" in capsys.readouterr().err


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """The stages that were trained and what each was given; the teacher is neither pruned nor asked."""
    calls = []

    def command(entry):
        def run(**given):
            calls.append((entry.name, given))
            finish(program.next_stage(tmp_path / "state"))

        return run

    monkeypatch.setattr("samlet.cli.train._command", command)
    monkeypatch.setattr(program, "begin", lambda *given: calls.append(("begin", given)))
    monkeypatch.setattr(
        "samlet.cli.train.teacher_masks", lambda data, output, teacher: calls.append(("teacher-masks", (data, output)))
    )
    return calls


def train_default(tmp_path):
    places = [f"--{name}={tmp_path / name}" for name in ("state", "weights", "ledger")]
    assert main(["train", "default", "--data", "photos", "--teacher-checkpoint", "teacher.pt", *places]) == 0


def test_default_begins_with_the_pruned_teacher_and_keeps_what_came_of_the_stage(tmp_path, trained, capsys):
    train_default(tmp_path)
    (begun, begin), (stage, given) = trained
    assert (begun, begin[1:]) == ("begin", (Path("teacher.pt"), [Path("photos")]))
    assert begin[0].checkpoint == tmp_path / "state" / program.START
    assert (stage, given["recipe"]) == ("distill-encoder", program.NAMES[0])
    assert given["checkpoint"] == tmp_path / "state" / program.START
    assert given["run"].resume
    assert not given["teacher"].teacher_first
    kept = tmp_path / "weights" / "next" / "mobile-sam-slim.safetensors"
    assert kept.exists()
    assert program.NAMES[0] in (tmp_path / "ledger").read_text()
    assert str(kept) in capsys.readouterr().out.replace("\n", "")


def test_defaults_last_stage_also_learns_from_the_teachers_masks(tmp_path, trained):
    finish(program.next_stage(tmp_path / "state"))
    train_default(tmp_path)
    (asked, masks), (stage, given) = trained[-2:]
    folder = tmp_path / "state" / "teacher-masks"
    assert (asked, masks) == ("teacher-masks", ([Path("photos")], folder))
    assert (stage, given["data"].data) == ("finetune", [Path("photos"), folder])
    assert "teacher" not in given


def test_teacher_masks_says_how_many_there_are(tmp_path, monkeypatch, capsys):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "photos" / "a.png")
    monkeypatch.setattr("samlet.training.runs.TeacherFile.open", lambda *_: (None, None))
    monkeypatch.setattr("samlet.training.teacher_masks.write_teacher_masks", lambda *given: given[4])
    words = ["--teacher", "mobile-sam", "--teacher-checkpoint", "x.pt", "--output", str(tmp_path / "out")]
    assert main(["train", "teacher-masks", str(tmp_path / "photos"), *words, "--views", "1200"]) == 0
    assert "1,200 photos with masks" in capsys.readouterr().out
