"""The options of `samlet train`: what they change, what they are called, and what they were called before."""

from __future__ import annotations

import pytest
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


def test_default_trains_the_next_stage_and_keeps_what_came_of_it(tmp_path, monkeypatch, capsys):
    trained = []

    def command(entry):
        def run(**given):
            trained.append((entry.name, given))
            finish(program.next_stage(tmp_path / "state", tmp_path / "weights"))

        return run

    monkeypatch.setattr("samlet.cli.train._command", command)
    places = [f"--{name}={tmp_path / name}" for name in ("state", "weights", "ledger")]
    assert main(["train", "default", "--data", "photos", "--teacher-checkpoint", "teacher.pt", *places]) == 0
    [(stage, given)] = trained
    assert (stage, given["recipe"]) == ("distill-encoder", program.NAMES[0])
    assert given["run"].resume
    assert not given["teacher"].teacher_first
    kept = tmp_path / "weights" / "next" / "efficientvit-sam-b0.safetensors"
    assert kept.exists()
    assert program.NAMES[0] in (tmp_path / "ledger").read_text()
    assert str(kept) in capsys.readouterr().out.replace("\n", "")
