from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from samlet.errors import OutputError
from samlet.files import make_folder, sha256_of, write_aside, write_files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_with(code: int):
    def fail(*_arguments, **_options):
        raise OSError(code, os.strerror(code))

    return fail


def test_the_file_takes_its_place_when_the_block_ends(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")
    with write_aside(path) as aside:
        aside.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert aside.suffix == ".npz"  # some writers choose the format by it
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.npz"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no")])
def test_a_failed_block_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def write() -> None:
        with write_aside(path) as aside:
            aside.write_bytes(b"half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "disk is full"), (errno.EACCES, "permission"), (errno.EROFS, "read-only"), (errno.EIO, "rror")],
)
def test_the_reason_is_one_sentence_that_names_the_file(tmp_path, monkeypatch, code, words):
    monkeypatch.setattr(Path, "write_bytes", fail_with(code))
    with pytest.raises(OutputError, match=rf'^Cannot write "{tmp_path}/a.png": .*{words}.*\.$'):
        write_files({tmp_path / "a.png": b"x"})
    assert names(tmp_path) == []


def test_several_files_are_written_together_or_not_at_all(tmp_path, monkeypatch):
    write = Path.write_bytes

    def full_at_the_second(path, content):
        if path.name.endswith("b"):
            write(path, content[:1])
            fail_with(errno.ENOSPC)()
        return write(path, content)

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(Path, "write_bytes", full_at_the_second)
    with pytest.raises(OutputError, match="disk is full"):
        write_files({tmp_path / "a": b"new", tmp_path / "b": b"new", tmp_path / "c": b"new"})
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_several_files_arrive(tmp_path):
    write_files({tmp_path / "a": b"1", tmp_path / "b": b""})
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == {"a": b"1", "b": b""}


def test_a_disk_that_fills_up_while_flushing_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(OutputError, match="disk is full"):
        write_files({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["file/inside", "x" * 300])
def test_a_folder_that_cannot_be(tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="Cannot write"):
        make_folder(tmp_path / name)


def test_a_folder_is_made_with_its_parents(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()


def test_a_folder_in_the_way(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="folder"):
        write_files({tmp_path / "a": b"x"})
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("content", [b"", b"abc", b"x" * 3_000_000])
def test_sha256(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()
