"""`samlet export`: bad input ends before any work."""

from __future__ import annotations

import shutil

import pytest
import torch
from tests.tiny import tiny_artifact, tiny_model

from samlet import cli
from samlet.cli import export as verb


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["export", "no-such-model", "--to", "onnx", "--output", "out"], "no-such-model"),
        (["export", "mobile-sam", "--to", "abacus", "--output", "out"], "abacus"),
        (["export", "mobile-sam", "--output", "out"], "--to"),
        (["export", "mobile-sam", "--to", "onnx"], "--output"),
        (["export", "mobile-sam", "--to", "onnx", "--output", "out", "--checkpoint", "gone.pt"], "gone.pt"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, word, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    assert word in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_table_says_how_near_the_masks_are(tmp_path, monkeypatch, capsys):
    translated = tiny_artifact()  # before the patch below, which would otherwise serve itself
    monkeypatch.setattr(verb, "load_module", lambda name, checkpoint: tiny_model())
    monkeypatch.setattr("samlet.export.onnx.write_graph", lambda plan, path: shutil.copy(translated / path.name, path))
    checkpoint = tmp_path / "tiny.pt"
    torch.save({}, checkpoint)
    arguments = ["export", "mobile-sam", "--to", "onnx", "--checkpoint", str(checkpoint)]
    assert cli.main([*arguments, "--output", str(tmp_path / "model")]) == 0
    printed = capsys.readouterr().out
    assert str(tmp_path / "model") in printed
    assert "mean mask IoU with torch" in printed
    assert (tmp_path / "model" / "manifest.json").is_file()
