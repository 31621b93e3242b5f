"""Where nothing can be written is known before any work."""

from __future__ import annotations

import os

import pytest

from samlet.cli.options.places import file_to_write, folder_to_write


def test_folders_that_are_there_or_can_be_made(tmp_path):
    folder_to_write(None, tmp_path)
    folder_to_write(None, tmp_path / "new" / "folder")
    folder_to_write(None, None)
    file_to_write(None, tmp_path / "new" / "file.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/inner", "link"])
def test_a_file_is_no_folder(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(ValueError, match="is a file, not a folder"):
        folder_to_write(None, tmp_path / name)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ValueError, match="it is a folder: choose another name"):
        file_to_write(None, tmp_path)


def test_no_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root, who runs many containers, may write everywhere
    with pytest.raises(ValueError, match="no permission"):
        folder_to_write(None, tmp_path / "new")


def test_a_name_that_is_too_long(tmp_path):
    with pytest.raises(ValueError, match="Cannot write"):
        folder_to_write(None, tmp_path / ("n" * 5000))
