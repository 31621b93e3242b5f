"""One process at a time for one file, on this machine and, where the file system can, on others."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from samlet.files import output_error

PAUSE_S = 0.1


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` while the block runs, waiting for whoever has it; a killed holder's lock ends with it.

    Yields False, without waiting, where the file system knows no locks. `OutputError` if the file cannot be made.
    """
    file = _taken(path)
    try:
        yield file is not None
    finally:
        if file is not None:
            with suppress(OSError):  # Windows removes no open file
                path.unlink(missing_ok=True)
            file.close()


def _taken(path: Path) -> BinaryIO | None:
    while True:
        try:
            file = path.open("ab")
        except OSError as error:
            raise output_error(path, error) from error
        try:
            _lock(file)
            # Whoever had it may have removed it meanwhile: then the next one would lock another file of this name.
            if _is_same(file, path):
                return file
        except (BlockingIOError, PermissionError):
            time.sleep(PAUSE_S)
        except OSError:
            file.close()
            return None
        file.close()


def _is_same(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
