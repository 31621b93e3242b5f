from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from samlet import files
from samlet.errors import OutputError
from samlet.files import aside_path, check_folder, make_folder, sha256_of, write_aside, write_files, write_set


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


def test_of_an_earlier_set_nothing_stays(tmp_path):
    for name in ("a", "b", "gone"):
        (tmp_path / name).write_bytes(b"old")
    write_set([(tmp_path / "a", b"1"), (tmp_path / "b", b"2")], replaced=[tmp_path / "gone", tmp_path / "a"])
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "in use"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", range(1, 6))
def test_a_set_that_cannot_take_its_place_leaves_the_earlier_one(tmp_path, monkeypatch, error, at):
    for name in ("a", "b", "gone"):
        (tmp_path / name).write_bytes(b"old")
    replace, calls = Path.replace, []

    def fails_once(path, target):
        calls.append(path)
        if len(calls) == at:
            raise error
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fails_once)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        write_set([(tmp_path / "a", b"1"), (tmp_path / "b", b"2")], replaced=[tmp_path / "gone"])
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == dict.fromkeys(
        ("a", "b", "gone"), b"old"
    )


def test_the_last_file_of_a_set_goes_first_and_comes_last(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"old")
    replace, seen = Path.replace, []

    def watched(path, target):
        replace(path, target)
        seen.append({name: (tmp_path / name).read_bytes() for name in names(tmp_path) if len(name) == 1})

    monkeypatch.setattr(Path, "replace", watched)
    write_set([(tmp_path / "a", b"1"), (tmp_path / "b", b"2")])
    assert seen == [{"a": b"old"}, {}, {"a": b"1"}, {"a": b"1", "b": b"2"}]


KILLED = """
import os, signal, sys
from pathlib import Path
from samlet.files import write_aside
with write_aside(Path(sys.argv[1]) / "a.bin") as aside:
    aside.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = names(tmp_path)
    assert left.startswith(".samlet-")
    (tmp_path / ".samlet-notes.txt").write_text("the user's")
    running = aside_path(tmp_path / "b.bin")
    running.write_bytes(b"being written")
    make_folder(tmp_path)
    assert names(tmp_path) == sorted([".samlet-notes.txt", running.name])


def test_another_machines_file_is_swept_after_a_day(tmp_path, monkeypatch):
    other = tmp_path / ".samlet-ffffff-1-00000000.a"
    other.write_bytes(b"")
    make_folder(tmp_path)
    assert other.exists()
    os.utime(other, (1, 1))
    files.sweep(tmp_path)
    assert not other.exists()


def test_a_process_of_our_own_number_that_ended_before_us_is_another(tmp_path):
    left = aside_path(tmp_path / "a")
    left.write_bytes(b"")
    os.utime(left, (1, 1))
    files.sweep(tmp_path)
    assert names(tmp_path) == []


def test_a_name_of_the_longest_length_is_written(tmp_path):
    write_files({tmp_path / ("x" * 251 + ".png"): b"1"})
    assert names(tmp_path) == ["x" * 251 + ".png"]


def test_a_pipe_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="a device or a pipe"), write_aside(tmp_path / "pipe"):
        pytest.fail("the block must not run")
    with pytest.raises(OutputError, match="a device or a pipe"):
        write_files({tmp_path / "pipe": b""})
    assert (tmp_path / "pipe").is_fifo()


def test_a_link_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "a")
    write_files({tmp_path / "link": b"1"})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "a").read_bytes() == b"1"


def test_a_folder_is_checked_without_being_made(tmp_path):
    check_folder(tmp_path / "a" / "b")
    assert names(tmp_path) == []
    (tmp_path / "file").write_bytes(b"")
    for name in ("file", "file/inside", "x" * 300):
        with pytest.raises(OutputError, match="Cannot write"):
            check_folder(tmp_path / name)


def test_a_folder_without_rights(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(OutputError, match="no permission"):
        check_folder(tmp_path / "a")
