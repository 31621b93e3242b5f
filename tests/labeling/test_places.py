from __future__ import annotations

import pytest

from samlet.errors import DataError, OutputError
from samlet.files import aside_path
from samlet.labeling.places import Folder


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    place = Folder(tmp_path / "new")
    assert (place.read("a"), place.names(""), place.names("b")) == (None, [], [])
    place.write("b/2", b"two")
    place.write("b/1", iter([b"o", b"ne"]))
    place.write("b/.hidden", b"")

    def fails():
        yield b"half"
        raise OSError(28, "full")

    with pytest.raises(OutputError, match="the disk is full"):
        place.write("b/2", fails())
    assert (place.read("b/1"), place.read("b/2"), place.names("b"), place.names("")) == (
        b"one",
        b"two",
        ["1", "2"],
        ["b"],
    )
    for _ in range(2):
        place.remove("b/1")
    assert place.names("b") == ["2"]


def test_of_several_who_make_or_change_a_file_one_does(tmp_path):
    place = Folder(tmp_path)
    assert [place.create("x", b"1"), place.create("x", b"2"), place.read("x")] == [True, False, b"1"]
    assert [place.swap("x", b"2", b"3"), place.swap("x", b"1", b"3"), place.read("x")] == [False, True, b"3"]
    assert not place.swap("y", b"", b"1")


def test_what_a_killed_process_left_is_swept(tmp_path, monkeypatch):
    place = Folder(tmp_path)
    place.write("a/1", b"")
    monkeypatch.setattr("os.getpid", lambda: 4_194_305)  # above the largest number of a process
    aside_path(tmp_path / "a" / "2").write_bytes(b"half")
    monkeypatch.undo()
    place.tidy("a")
    place.tidy("nowhere")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["1"]


def test_bad_places(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="it is a file, not a folder"):
        Folder(tmp_path / "file").names("")
    with pytest.raises(OutputError, match=r"part of the path is a file|a file is in the way"):
        Folder(tmp_path / "file").write("a", b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        Folder(tmp_path).read("folder")
