"""Writing files so that nothing is ever half-written, and knowing a file by its content.

A file is written under a hidden name beside its place, flushed to the disk, then renamed over its place: a full disk,
an interrupt or a power cut leaves either the old file or the new one. Every failure is one `OutputError`. What a kill
leaves under a hidden name is swept by the next process that writes into the folder.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from samlet.errors import OutputError
from samlet.reading import check_regular

_REASONS = {
    errno.ENOSPC: "the disk is full: free some space or choose another folder",
    getattr(errno, "EDQUOT", errno.ENOSPC): "the disk quota is used up: free some space or choose another folder",
    errno.EACCES: "no permission to write there: choose another folder",
    errno.EPERM: "no permission to write there: choose another folder",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.EEXIST: "a file is in the way: choose another name",
    errno.ENOTDIR: "part of the path is a file, not a folder",
    errno.EISDIR: "it is a folder: choose another name",
    errno.ENAMETOOLONG: "the name is too long",
}
_ASIDE = re.compile(r"\.samlet-(?P<machine>[0-9a-f]{6})-(?P<process>[0-9]+)-[0-9a-f]{8}\.")
_ABANDONED_S = 86_400
_LONGEST_NAME = 255  # bytes, of a file on any file system in use
_STARTED = time.time()
_swept: set[Path] = set()


def output_error(path: Path, error: OSError) -> OutputError:
    """Return the `OutputError` that says in one sentence why `path` could not be written."""
    reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
    return OutputError(f'Cannot write "{path}": {reason}.')


def make_folder(folder: Path) -> Path:
    """Create `folder` and its parents if they are missing, and return it; `OutputError` where that fails.

    What a process that was killed left half-written in it is removed, once in each process.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.absolute() not in _swept:
            _swept.add(folder.absolute())
            sweep(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    return folder


def check_folder(folder: Path) -> None:
    """Refuse a folder in which nothing could be written, before the work and without making it: `OutputError`."""
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR if there != folder else errno.EEXIST, "")
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "")
    except OSError as error:
        raise output_error(folder, error) from error


def aside_path(path: Path) -> Path:
    """A hidden name beside `path` for what this process is writing; it keeps the suffix, and says whose it is."""
    mark = f".samlet-{_machine()}-{os.getpid()}-{secrets.token_hex(4)}."
    name = mark + path.name
    return path.with_name(name if len(os.fsencode(name)) <= _LONGEST_NAME else mark + path.suffix)


def sweep(folder: Path) -> None:
    """Remove from `folder` what processes left there that were killed; `OSError` if it cannot be listed.

    Those of this machine are known by their number; what another machine wrote must not have changed for a day.
    """
    with os.scandir(folder) as entries:
        asides = [(entry, match) for entry in entries if (match := _ASIDE.match(entry.name))]
    for entry, match in asides:
        with suppress(OSError):  # another process may sweep as well
            if _is_abandoned(entry, match["machine"], int(match["process"])):
                forget(Path(entry))


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block ends well, and is removed otherwise.

    The temporary name keeps the suffix. The block should do nothing but write that file: its `OSError`s become
    `OutputError`s that name `path`. A link is followed; a device or a pipe is refused.
    """
    place = _place(path)
    aside = aside_path(place)
    try:
        yield aside
        _flush(aside)
        aside.replace(place)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        forget(aside)


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write several files together, all or none; see `write_set`."""
    write_set(contents.items())


def write_set(contents: Iterable[tuple[Path, bytes | Iterator[bytes]]], replaced: Iterable[Path] = ()) -> None:
    """Write files that belong together, and remove those of an earlier set: all of it happens, or nothing.

    All are complete on the disk before the first takes its place. The last one is the first to go and the last to come,
    so whoever finds it finds all the others: a process killed in between leaves a set without its last file. A content
    may come in pieces, which are made as they are written.
    """
    asides: dict[Path, Path] = {}
    try:
        for path, content in contents:
            place = _place(path)
            asides[place] = aside_path(place)
            with _naming(path):
                _write(asides[place], content)
                _flush(asides[place])
        _exchange(asides, [path for path in map(_place, replaced) if path not in asides])
    finally:
        for aside in asides.values():
            forget(aside)


def forget(path: Path) -> None:
    """Remove a file or a folder of ours, if it is there."""
    with suppress(OSError):  # The folder itself may be gone or unreachable: the first error tells more.
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content as 64 hexadecimal digits; `OSError` if it cannot be read or is no file."""
    check_regular(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _place(path: Path) -> Path:
    """Where a file really lies; `OutputError` for what must never be replaced by one."""
    with _naming(path):
        place = path.resolve() if path.is_symlink() else path
        if place.exists() and not (place.is_file() or place.is_dir()):
            raise OutputError(f'Cannot write "{path}": it is a device or a pipe: choose another name.')
    return place


def _exchange(asides: Mapping[Path, Path], replaced: Sequence[Path]) -> None:
    """Put new files in their places and old ones away; on an error, everything back."""
    earlier: dict[Path, Path] = {}
    arrived: list[Path] = []
    try:
        for path in (*reversed(list(asides)), *replaced):
            with _naming(path):
                if path.is_dir():
                    raise IsADirectoryError(errno.EISDIR, "")
                if path.exists():
                    old = aside_path(path)
                    path.replace(old)
                    earlier[path] = old
        for path, aside in asides.items():
            with _naming(path):
                aside.replace(path)
                arrived.append(path)
    except BaseException:
        for path in arrived:
            forget(path)
        for path, old in earlier.items():
            with suppress(OSError):
                old.replace(path)
        raise
    for old in earlier.values():
        forget(old)


def _write(path: Path, content: bytes | Iterator[bytes]) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
        return
    with path.open("wb") as file:
        for piece in content:
            file.write(piece)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise output_error(path, error) from error


def _flush(path: Path) -> None:
    # Without this a power cut after the rename may leave an empty file under the final name.
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@cache
def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _is_abandoned(entry: os.DirEntry[str], machine: str, process: int) -> bool:
    written = entry.stat(follow_symlinks=False).st_mtime
    if process == os.getpid() and machine == _machine():  # or a process of that number before us, as in containers
        return written < _STARTED
    if machine != _machine() or sys.platform == "win32":  # where asking for a process would end it
        return time.time() - written > _ABANDONED_S
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it runs, under another user
        return False
    return False
