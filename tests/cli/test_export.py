"""`samlet export`: bad input ends before any work."""

from __future__ import annotations

import shutil

import pytest
import torch
from tests.tiny import tiny_artifact, tiny_model

from samlet import cli
from samlet.cli import export as verb
from samlet.export.parity import PHOTOS, Parity
from samlet.models.registry import DEFAULT_MODEL, shipped_folder

SHIPPED = shipped_folder(DEFAULT_MODEL)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["export", "no-such-model", "--to", "onnx", "--output", "out"], "no-such-model"),
        (["export", "--to", "onnx", "--output", "out"], "Name a model"),
        (["export", str(SHIPPED), "--to", "onnx", "--output", "out"], "is exported already"),
        (["export", "mobile-sam", "--to", "abacus", "--output", "out"], "abacus"),
        (["export", "mobile-sam", "--output", "out"], "--to"),
        (["export", "mobile-sam", "--to", "onnx"], "--output"),
        (["export", "mobile-sam", "--to", "onnx", "--output", __file__], "is a file, not a folder"),
        (["export", "mobile-sam", "--to", "onnx", "--output", "out", "--layout", "meta"], "meta"),
        (["export", "mobile-sam", "--to", "onnx", "--output", "out", "--precision", "int4"], "int4"),
        (["export", "mobile-sam", "--to", "onnx", "--output", "out", "--checkpoint", "gone.pt"], "gone.pt"),
        (["export", "mobile-sam", "--to", "onnx", "--output", "out", "--opset", "16"], "--opset"),
        (["export", "mobile-sam", "--to", "onnx", "--output", "out", "--precision", "int8"], "needs --calibration"),
        (["export", "mobile-sam", "--to", "onnx", "--output", "out", "--calibration", "."], "would be ignored"),
        (["export", "mobile-sam", "--to", "onnx", "--output", "out", "--photos", "gone.jpg"], "gone.jpg"),
        (
            ["export", "mobile-sam", "--to", "onnx", "--output", "out", "--random-weights", "--checkpoint", "a.pt"],
            "--random-weights would ignore --checkpoint",
        ),
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
    monkeypatch.setattr(
        "samlet.export.onnx.write_graph", lambda plan, path, opset: shutil.copy(translated / path.name, path)
    )
    checkpoint = tmp_path / "tiny.pt"
    torch.save({}, checkpoint)
    arguments = ["export", "mobile-sam", "--to", "onnx", "--checkpoint", str(checkpoint)]
    assert cli.main([*arguments, "--photos", str(PHOTOS[0]), "--output", str(tmp_path / "model")]) == 0
    printed = capsys.readouterr().out
    assert str(tmp_path / "model") in printed
    rows = {line.partition("  ")[0]: line for line in printed.splitlines()}
    assert {"folder", "size", "exported in", "encode, ONNX Runtime on the CPU", "mask IoU with torch"} <= set(rows)
    assert "smallest" in rows["mask IoU with torch"]
    assert " ms (in torch " in rows["encode, ONNX Runtime on the CPU"]
    assert (tmp_path / "model" / "manifest.json").is_file()


def test_the_options_reach_the_exporter(tmp_path, monkeypatch):
    asked = {}

    def export_onnx(model, folder, **options):
        asked.update(options)
        folder.mkdir()
        return Parity(mask_ious=[1.0])

    monkeypatch.setattr(verb, "load_module", lambda name, checkpoint: tiny_model())
    monkeypatch.setattr("samlet.export.onnx.export_onnx", export_onnx)
    monkeypatch.setattr("samlet.export.speed.encode_milliseconds", lambda *_: (1.0, 2.0))
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("b.JPG", "a.avif", "c.tiff", "notes.txt"):
        (photos / name).touch()
    for label in ("cat", "dog"):
        (tmp_path / "classes" / label).mkdir(parents=True)
        (tmp_path / "classes" / label / "0.png").touch()
    checkpoint = tmp_path / "tiny.pt"
    torch.save({}, checkpoint)
    arguments = ["export", "mobile-sam", "--to", "onnx", "--checkpoint", str(checkpoint), "--layout", "official"]
    arguments += ["--calibration", str(photos), "--output", str(tmp_path / "model"), "--precision", "int8"]
    assert cli.main([*arguments, "--opset", "17"]) == 0
    assert (asked["layout"], asked["precision"], asked["opset"]) == ("official", "int8", 17)
    assert asked["calibration"] == [photos / "a.avif", photos / "b.JPG", photos / "c.tiff"]
    shutil.rmtree(tmp_path / "model")
    arguments[arguments.index(str(photos))] = str(tmp_path / "classes")
    assert cli.main(arguments) == 0
    assert asked["calibration"] == [tmp_path / "classes" / label / "0.png" for label in ("cat", "dog")]


def test_a_calibration_folder_that_is_not_there_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(verb, "load_module", lambda name, checkpoint: tiny_model())
    arguments = ["export", "mobile-sam", "--to", "onnx", "--checkpoint", "tiny.pt", "--output", str(tmp_path / "model")]
    assert cli.main([*arguments, "--precision", "int8", "--calibration", str(tmp_path / "gone")]) == 2
    assert "gone is no folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("precision", "mask_iou", "word"),
    [("float32", 1.0, None), ("int8", 0.995, "yes: "), ("int8", 0.95, "no: that needs")],
)
def test_whether_a_cheaper_precision_may_stand_in_is_told(precision, mask_iou, word, tmp_path):
    rows = dict(verb._rows(tmp_path, precision, Parity(mask_ious=[mask_iou]), 1.0, (1.0, 1.0)))
    assert rows.get("in place of float32", "").startswith(word or "")
    assert ("in place of float32" in rows) == (word is not None)
