"""A folder appears whole or not at all."""

from __future__ import annotations

import pytest

from samlet.errors import ExportError, OutputError
from samlet.export.artifact import folder_aside
from samlet.runtime.artifact import MANIFEST


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def test_the_folder_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "models" / "new"  # neither exists
    with folder_aside(target) as aside:
        (aside / MANIFEST).write_text("{}")
        assert not target.exists()
    assert contents(target) == {MANIFEST: "{}"}
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ExportError("too far"), KeyboardInterrupt()])
def test_nothing_is_left_of_a_block_that_fails(tmp_path, error):
    def fail():
        with folder_aside(tmp_path / "model") as aside:
            (aside / MANIFEST).write_text("{}")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_an_older_artifact_is_replaced_whole(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / MANIFEST).write_text("old")
    (target / "leftover.onnx").write_text("old")
    with folder_aside(target) as aside:
        (aside / MANIFEST).write_text("new")
    assert contents(target) == {MANIFEST: "new"}
    assert list(tmp_path.iterdir()) == [target]


def test_an_older_artifact_survives_a_failure(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / MANIFEST).write_text("old")
    with pytest.raises(ExportError), folder_aside(target):
        raise ExportError("too far")
    assert contents(target) == {MANIFEST: "old"}


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "model").mkdir()
    with folder_aside(tmp_path / "model") as aside:
        (aside / MANIFEST).write_text("new")
    assert contents(tmp_path / "model") == {MANIFEST: "new"}


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="no artifact"), folder_aside(tmp_path):
        pytest.fail("the block must not run")
    assert contents(tmp_path) == {"thesis.tex": "years of work"}


def test_a_file_in_the_way_is_one_sentence(tmp_path):
    (tmp_path / "model").write_text("a file")
    with pytest.raises(OutputError, match="is a file"), folder_aside(tmp_path / "model"):
        pytest.fail("the block must not run")


def test_a_full_disk_is_one_sentence(tmp_path):
    with pytest.raises(OutputError, match="disk is full"), folder_aside(tmp_path / "model"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []
