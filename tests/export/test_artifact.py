"""A folder appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from samlet import __version__
from samlet.errors import ExportError, OutputError
from samlet.export.artifact import folder_aside
from samlet.models.registry import DEFAULT_MODEL, get_spec, shipped_folder
from samlet.runtime.artifact import GRAPHS, MANIFEST, PARITY, manifest_record


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


def artifact(folder):
    """A folder as an export leaves it."""
    folder.mkdir(exist_ok=True)
    for name in GRAPHS:
        (folder / name).write_text(name)
    (folder / PARITY).write_text("{}")
    (folder / MANIFEST).write_text(
        json.dumps(manifest_record(folder, get_spec("mobile-sam"), "float32") | {"samlet": __version__})
    )
    return folder


def without_mark(folder):
    """As it was written before there was a mark."""
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest.pop("samlet") == __version__
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("older", [lambda folder: folder, without_mark, lambda folder: (folder / PARITY).unlink()])
def test_an_older_artifact_is_replaced_whole(tmp_path, older):
    older(artifact(tmp_path / "model"))
    with folder_aside(tmp_path / "model") as aside:
        (aside / MANIFEST).write_text("new")
    assert contents(tmp_path / "model") == {MANIFEST: "new"}
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


def test_the_shipped_model_is_an_artifact(tmp_path):
    shutil.copytree(shipped_folder(DEFAULT_MODEL), tmp_path / "model")
    with folder_aside(tmp_path / "model"):
        pass
    assert contents(tmp_path / "model") == {}


def test_an_older_artifact_survives_a_failure(tmp_path):
    target = artifact(tmp_path / "model")
    before = contents(target)
    with pytest.raises(ExportError), folder_aside(target):
        raise ExportError("too far")
    assert contents(target) == before
    assert list(tmp_path.iterdir()) == [target]


def test_an_older_artifact_survives_a_rename_that_fails(tmp_path, monkeypatch):
    target = artifact(tmp_path / "model")
    before, rename = contents(target), Path.rename

    def fails_for_the_new_one(path, to):
        if (path / "new").exists():
            raise OSError(13, "in use")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", fails_for_the_new_one)
    with pytest.raises(OutputError, match="no permission"), folder_aside(target) as aside:
        (aside / "new").touch()
    assert contents(target) == before
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda folder: (folder / "notes.txt").write_text("mine"), "notes.txt"),
        (lambda folder: (folder / "sub").mkdir(), "sub"),
        (lambda folder: (folder / GRAPHS[0]).write_text("tuned by hand"), "was changed"),
        (lambda folder: ((folder / GRAPHS[0]).unlink(), (folder / GRAPHS[0]).mkdir()), "was changed"),
        (lambda folder: (folder / MANIFEST).write_text('{"name": "my web app"}'), "no artifact"),
        (lambda folder: (folder / MANIFEST).write_text('{"name": "my web app", "files": {}}'), "no artifact"),
        (lambda folder: (folder / MANIFEST).write_text("["), "no artifact"),
        (lambda folder: (folder / MANIFEST).unlink(), "no artifact"),
    ],
)
def test_what_is_not_the_artifact_alone_is_left_alone(tmp_path, spoil, word):
    target = artifact(tmp_path / "model")
    spoil(target)
    before = contents(target)
    with pytest.raises(OutputError, match=word), folder_aside(target):
        pytest.fail("the block must not run")
    assert contents(target) == before


def test_what_was_added_during_the_work_is_left_alone(tmp_path):
    target = artifact(tmp_path / "model")
    with pytest.raises(OutputError, match=r"notes.txt"), folder_aside(target):
        (target / "notes.txt").write_text("mine")
    assert contents(target)["notes.txt"] == "mine"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("elsewhere")])
def test_links_and_pipes_are_never_replaced(tmp_path, make):
    make(tmp_path / "model")
    with pytest.raises(OutputError, match="choose"), folder_aside(tmp_path / "model"):
        pytest.fail("the block must not run")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


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
