"""Writing files so that nothing is ever half-written, and knowing a file by its content.

A file is written under a hidden name beside its place, flushed to the disk, then renamed over its place: a full disk,
an interrupt or a power cut leaves either the old file or the new one. Every failure is one `OutputError`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
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


def output_error(path: Path, error: OSError) -> OutputError:
    """Return the `OutputError` that says in one sentence why `path` could not be written."""
    reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
    return OutputError(f'Cannot write "{path}": {reason}.')


def make_folder(folder: Path) -> Path:
    """Create `folder` and its parents if they are missing, and return it; `OutputError` where that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    return folder


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block ends well, and is removed otherwise.

    The temporary name keeps the suffix. The block should do nothing but write that file: its `OSError`s become
    `OutputError`s that name `path`.
    """
    aside = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield aside
        _flush(aside)
        aside.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        _forget(aside)


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write several files together: all are complete on the disk before the first one takes its place."""
    with ExitStack() as stack:
        for path, content in contents.items():
            aside = stack.enter_context(write_aside(path))
            aside.write_bytes(content)
            _flush(aside)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content as 64 hexadecimal digits; `OSError` if it cannot be read or is no file."""
    check_regular(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    # Without this a power cut after the rename may leave an empty file under the final name.
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _forget(path: Path) -> None:
    with suppress(OSError):  # The folder itself may be gone or unreachable: the first error tells more.
        path.unlink(missing_ok=True)
