"""Reading what users hand over: one boundary between the errors of libraries and samlet's sentences.

What damaged or hostile bytes make Pillow, zlib, zipfile, tarfile, json or an unpickler raise has no end, and each of
them promises something else. Whatever comes out of a block that only reads becomes one sentence with the file's name.
Only regular files are opened: a FIFO would wait for a writer, a device has no end.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import reprlib
import stat
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.errors import DataError, SamletError

_LARGEST_NPZ = 1 << 30  # bytes; an embedding has 4 to 50 million
_LARGEST_HEADER = 100_000_000  # bytes; what the format of safetensors allows
_LONGEST_REASON = 200  # characters of a library's own words
_REASONS = {
    errno.EACCES: "you have no permission to read it",
    errno.EPERM: "you have no permission to read it",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "its symbolic links lead in a circle",
}
_QUOTED = reprlib.Repr()
_QUOTED.maxlevel, _QUOTED.maxstring, _QUOTED.maxother = 3, 60, 60
_KINDS = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_NOISY = r"(PIL|numpy|rasterio|torch|safetensors)\b"  # libraries that warn about a file which is read or refused anyway
_URL = re.compile(r"[a-z][a-z0-9+]+:/", re.IGNORECASE)  # a path has lost the second slash

# Without any handler Python would print what Pillow logs about a damaged file.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@contextmanager
def reading(path: str | os.PathLike[str], what: str, error: type[SamletError] = DataError) -> Iterator[None]:
    """The block reads the file at `path` as `what` ("an image", "JSON") and does nothing else.

    Whatever goes wrong is raised as an `error` of one sentence; samlet's own errors pass. What is no regular file is
    refused before the block runs. The warnings of libraries are muted.
    """
    with decoding(str(path), what, error):
        check_regular(path)
        yield


@contextmanager
def decoding(name: str, what: str, error: type[SamletError] = DataError) -> Iterator[None]:
    """As `reading`, of bytes that are in memory already; errors call them `name`."""
    try:
        with _muted:
            yield
    except SamletError:
        raise
    except Exception as reason:
        raise error(_sentence(name, what, reason)) from reason


def read_npz(path: str | os.PathLike[str], what: str, error: type[SamletError] = DataError) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by name; no pickle is opened, and no more than `_LARGEST_NPZ` is unpacked."""
    with reading(path, what, error):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > _LARGEST_NPZ:
            raise error(f"{path} unpacks to {unpacked >> 20:,} MiB, more than {what} has: it is damaged.")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}


def read_safetensors_metadata(path: Path, error: type[SamletError] = DataError) -> dict[str, Any]:
    """The texts beside the tensors of a .safetensors file, empty where there are none; `error` if it is damaged.

    The file opens with 8 bytes, how long the table of its tensors is, and that table as JSON; it is read without torch.
    """
    with reading(path, "weights", error), path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length)) if 0 < length <= _LARGEST_HEADER else None
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def shown(value: object) -> str:
    """How a sentence quotes a foreign value: its repr, cut where it would be long or deep."""
    return _QUOTED.repr(value)


def in_short(reason: BaseException) -> str:
    """A library's own words as a sentence quotes them: on one line, without the full stop, cut where they are long."""
    words = " ".join(str(reason).split()) or type(reason).__name__
    return words.rstrip(".") if len(words) <= _LONGEST_REASON else words[:_LONGEST_REASON] + "…"


def check_regular(path: str | os.PathLike[str]) -> None:
    """OSError, with a `strerror` that says why, if `path` is missing or anything but a regular file."""
    mode = Path(path).stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(mode):
        kind = next((words for is_kind, words in _KINDS if is_kind(mode)), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))


def is_missing(path: str | os.PathLike[str]) -> bool:
    """Whether nothing lies at `path`. What is there but out of reach is not missing: reading it tells why."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def is_file(path: Path, error: type[SamletError] = DataError) -> bool:
    """Whether something lies at `path` that is no folder; `error` if that cannot be looked at."""
    try:
        return not stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as reason:
        if reason.errno == errno.ENAMETOOLONG:
            return False
        raise error(_sentence(str(path), "a file", reason)) from reason


def is_folder(path: Path, error: type[SamletError] = DataError) -> bool:
    """Whether `path` is a folder; `error` if it does not exist or cannot be looked at."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as reason:
        raise error(_sentence(str(path), "a folder", reason)) from reason


def list_folder(folder: Path, error: type[SamletError] = DataError) -> list[Path]:
    """What lies in a folder, by name, hidden files left out; `error` if it cannot be listed."""
    try:
        return sorted(place for place in folder.iterdir() if not place.name.startswith("."))
    except (OSError, ValueError) as reason:
        raise error(_sentence(str(folder), "a folder", reason)) from reason


def _sentence(name: str, what: str, reason: Exception) -> str:
    if isinstance(reason, (FileNotFoundError, NotADirectoryError)):
        advice = ": samlet reads files, so download it first" if _URL.match(name) else ""
        return f"{name} does not exist{advice}."
    if isinstance(reason, IsADirectoryError):
        return f"{name} is a folder, not {what}."
    if isinstance(reason, OSError) and reason.strerror:
        return f"{name} cannot be read: {_REASONS.get(reason.errno or 0, reason.strerror)}."
    if isinstance(reason, MemoryError):
        return f"{name} cannot be read as {what}: it asks for more memory than there is, so it is damaged or too large."
    return f"{name} cannot be read as {what}: it is damaged or truncated, or is something else ({in_short(reason)})."


class _Muted:
    """Switches the warnings of `_NOISY` off while at least one thread reads.

    `warnings.catch_warnings` alone is not for threads: the last to leave would restore what the first one changed.
    """

    def __init__(self) -> None:
        self._lock, self._readers = Lock(), 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._readers:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.filterwarnings("ignore", module=_NOISY)
            self._readers += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._readers -= 1
            if not self._readers:
                self._caught.__exit__(kind, error, trace)


_muted = _Muted()
