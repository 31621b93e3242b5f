from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from samlet.errors import OutputError, TrainingError
from samlet.training import curves
from samlet.training.curves import draw_curves, read_log
from samlet.training.loop.checkpoint import LOG


def write_log(folder, rows, tail=""):
    folder.mkdir()
    (folder / LOG).write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
    return folder


ROWS = [{"step": step, "loss": 1 / step, "mse": 1 / step, "seconds": 0.1} for step in (10, 20, 30)]


def test_the_picture_has_a_panel_a_run(tmp_path):
    first, second = write_log(tmp_path / "one", ROWS), write_log(tmp_path / "two", ROWS)
    draw_curves([first], tmp_path / "a.png")
    draw_curves([first, second], tmp_path / "b.png")
    with Image.open(tmp_path / "a.png") as one, Image.open(tmp_path / "b.png") as two:
        assert two.width == 2 * one.width


def test_steps_logged_twice_by_a_resume_count_once_and_a_cut_row_not_at_all(tmp_path):
    again = [{**ROWS[1], "mse": 9.0}]
    rows = read_log(write_log(tmp_path / "run", ROWS + again, tail='{"step": 40, "lo'))
    assert [row["step"] for row in rows] == [10, 20, 30]
    assert rows[1]["mse"] == 9.0


def test_a_folder_without_a_log_or_with_an_empty_one_is_named(tmp_path):
    with pytest.raises(TrainingError, match="nowhere"):
        read_log(tmp_path / "nowhere")
    with pytest.raises(TrainingError, match="empty"):
        read_log(write_log(tmp_path / "run", []))


def test_a_short_run_is_drawn_as_points_and_held_out_losses_have_a_curve(tmp_path, monkeypatch):
    folder = write_log(tmp_path / "run", [ROWS[0], {"step": 10, "validation": 0.3}])
    assert read_log(folder) == [{**ROWS[0], "validation": 0.3}]
    draw_curves([folder], tmp_path / "points.png")
    monkeypatch.setattr(curves, "FEW", 0)
    draw_curves([write_log(tmp_path / "line", [ROWS[0]])], tmp_path / "line.png")
    assert colored(tmp_path / "points.png") > colored(tmp_path / "line.png") + 20


def colored(path):
    """How many pixels of a picture are not gray."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    return int((np.ptp(pixels, axis=2) > 20).sum())


def test_a_picture_of_curves_is_replaced_and_another_is_not(tmp_path):
    write_log(tmp_path / "run", [{"step": 1, "a": 1.0}])
    draw_curves([tmp_path / "run"], tmp_path / "curves.png")
    draw_curves([tmp_path / "run"], tmp_path / "curves.png")
    (tmp_path / "photo.png").write_bytes(b"theirs")
    with pytest.raises(OutputError, match=r"photo\.png.* was not written by samlet"):
        draw_curves([tmp_path / "run"], tmp_path / "photo.png")
    assert (tmp_path / "photo.png").read_bytes() == b"theirs"
