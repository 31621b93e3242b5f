"""Files here and far away, through one door: listed, looked at, read whole or in part. Knows no format.

What is no URL is a file of this machine. URLs go through fsspec (`s3://`, `gs://`, `https://` and all that it has), and
what fails there in a way that passes is asked again. Nothing is downloaded whole but the images themselves.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from samlet.errors import DataError, ImageError, InputError, MissingExtraError
from samlet.extras import import_with_extra
from samlet.labeling.sources.retrying import CutError, retried
from samlet.labeling.sources.telling import protocol_of, telling
from samlet.reading import list_folder, reading

AHEAD_BYTES = 1 << 20
_OF_EXTRA = frozenset({"s3", "gs", "http", "https"})  # whose libraries the extra "cloud" brings
_filesystems: dict[tuple[int, str], Any] = {}
_lock = threading.Lock()


class Entry(NamedTuple):
    """A file as it was found: `size_bytes` is -1 and `version` "" where that is not known."""

    path: str
    size_bytes: int = -1
    version: str = ""


def is_url(name: str) -> bool:
    """Whether it names a place in a store rather than a file of this machine."""
    return "://" in name and protocol_of(name) != ""


def canonical(name: str) -> str:
    """The same place as every process on every machine calls it: an absolute path with slashes, a URL in one form."""
    if not is_url(name):
        return Path(name).absolute().as_posix()
    filesystem, inner = filesystem_of(name)
    return str(filesystem.unstrip_protocol(inner))


def joined(root: str, name: str) -> str:
    """The place `name` as seen from the folder `root`; one that is absolute or a URL stays as it is."""
    if is_url(name) or not root:
        return name
    if is_url(root):
        return f"{root.rstrip('/')}/{name.lstrip('/')}"
    if root.startswith("/") and "\\" not in name:  # without pathlib, which takes longer than all else of a manifest
        return name if name.startswith("/") else f"{root.rstrip('/')}/{name}"
    return (Path(root) / name).absolute().as_posix()


def folder_of(name: str) -> str:
    """The folder, or the part of a URL, in which a file lies."""
    return name.rpartition("/")[0] if is_url(name) else str(Path(name).parent)


def find(name: str) -> Entry | None:
    """The file at a path or URL, None if it is a folder, or a prefix of names; DataError if nothing is there."""
    if not is_url(name):
        path = Path(name)
        if not path.is_dir():
            with reading(path, "a file"):
                return look(path)
        return None
    filesystem, inner = filesystem_of(name)
    with telling(name):
        info = retried(lambda: filesystem.info(inner))
    return None if info.get("type") == "directory" else _entry(name, info)


def look(path: str | Path) -> Entry:
    """The size and the time of change of a file of this machine; not known if it is not there, or out of reach."""
    name = path if isinstance(path, str) else path.as_posix()
    try:
        status = os.stat(name)  # noqa: PTH116 - of each row of a manifest
    except (OSError, ValueError):  # told when it is read
        return Entry(name)
    return Entry(name, status.st_size, str(status.st_mtime_ns))


def list_files(root: str, depth: int | None = None) -> Iterator[Entry]:
    """All files below a folder or prefix, folder by folder, each by name; hidden ones are left out.

    `depth` is how many folders deep, itself counted; None is all. One folder is held in memory at a time. DataError for
    what cannot be listed.
    """
    if is_url(root):
        filesystem, inner = filesystem_of(root)
        return _list_far(filesystem, inner, root, depth)
    return _list_here(Path(root), (), depth)


def read(path: str, size_bytes: int = -1, offset: int = 0) -> bytes:
    """The bytes of a file, or `size_bytes` of it from `offset` on.

    ImageError for what is wrong with this file: it is missing, cut off or has changed its size. DataError for a store
    that does not answer, in spite of all asking, or lets nobody in: nothing can be said of the image then. A single
    host of the web may be gone for ever: there that is the image's fault as well.
    """
    if not is_url(path):
        return _read_here(Path(path), size_bytes, offset)
    filesystem, inner = filesystem_of(path)
    bounds = {} if size_bytes < 0 else {"start": offset, "end": offset + size_bytes}

    def ask() -> bytes:
        content = filesystem.cat_file(inner, **bounds) if size_bytes else b""
        if 0 <= size_bytes < len(content):
            raise ImageError(f"{path}: its server gives no parts of files, or it has grown since: download it.")
        if len(content) < size_bytes:
            raise CutError(f"{len(content):,} of {size_bytes:,} bytes arrived: it is cut off, or was changed since")
        return content

    with telling(path, ImageError):
        return retried(ask)


@contextmanager
def opened(path: str, ahead_bytes: int = AHEAD_BYTES) -> Iterator[tuple[BinaryIO, int]]:
    """A file to be read in parts, and its size; `ahead_bytes` come at once from a store.

    DataError if it cannot be opened, or read from a store.
    """
    if not is_url(path):
        with reading(path, "a file"):
            file = Path(path).open("rb")  # noqa: SIM115 - closed below: the boundary is for the opening alone
            size_bytes = os.fstat(file.fileno()).st_size
        with file:
            yield file, size_bytes
        return
    found = find(path)
    if found is None:
        raise DataError(f"{path} is a folder, not a file.")
    if found.size_bytes < 0:  # a server that does not say it
        content = read(path)
        yield io.BytesIO(content), len(content)
        return
    yield cast("BinaryIO", io.BufferedReader(_Far(found), ahead_bytes)), found.size_bytes


class _Far(io.RawIOBase):
    """A file of a store, read in ranges, each of which is asked for again where that helps."""

    def __init__(self, entry: Entry) -> None:
        self._entry, self._place = entry, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._entry.size_bytes}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        size = max(0, min(len(buffer), self._entry.size_bytes - self._place))
        buffer[:size] = read(self._entry.path, size, self._place)
        self._place += size
        return size


def filesystem_of(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and what it calls the place.

    InputError for a protocol that fsspec does not know; MissingExtraError where its library is not installed.
    """
    fsspec = import_with_extra("fsspec", "label", f"Reading {url}")
    protocol = url.partition("://")[0].lower()
    try:
        options = fsspec.get_filesystem_class(protocol)._get_kwargs_from_urls(url)
        # One for each process and host: fsspec itself makes one for each thread, with connections of its own.
        key = (os.getpid(), f"{protocol} {sorted(options.items())}")
        with _lock:
            filesystem = _filesystems.get(key)
            if filesystem is None:
                filesystem = fsspec.filesystem(protocol, use_listings_cache=False, **options, **_asking_once(protocol))
                if hasattr(filesystem, "retries"):
                    filesystem.retries = 1
                _filesystems[key] = filesystem
    except ImportError as error:
        if protocol_of(url) in _OF_EXTRA:
            raise MissingExtraError("cloud", f"Reading {url}") from error
        raise InputError(f"{url} cannot be read: {error}.") from error
    except ValueError as error:
        raise InputError(f"{url}: there is no way to read {protocol}:// ({error}).") from error
    return filesystem, filesystem._strip_protocol(url)


def _asking_once(protocol: str) -> dict[str, Any]:
    """Asking again is done here: libraries that do so too would multiply it."""
    once = {"retries": {"total_max_attempts": 1}}
    return {"config_kwargs": once} if protocol_of(f"{protocol}://") == "s3" else {}


def _read_here(path: Path, size_bytes: int, offset: int) -> bytes:
    with reading(path, "an image", ImageError), path.open("rb") as file:
        file.seek(offset)
        content = file.read(size_bytes) if offset else file.read()
    if 0 <= size_bytes != len(content):
        raise ImageError(
            f"{path} has {len(content):,} bytes where {size_bytes:,} were listed: it is cut off, or was changed since."
        )
    return content


def _list_here(folder: Path, above: tuple[tuple[int, int], ...], depth: int | None) -> Iterator[Entry]:
    places = list_folder(folder)
    status = folder.stat()
    if (status.st_dev, status.st_ino) in above:  # a link that leads back
        return
    for place in places:
        if place.is_dir():
            if depth != 1:
                deeper = None if depth is None else depth - 1
                yield from _list_here(place, (*above, (status.st_dev, status.st_ino)), deeper)
        else:
            yield look(place)


def _list_far(filesystem: Any, folder: str, root: str, depth: int | None) -> Iterator[Entry]:
    with telling(root):
        infos = retried(lambda: filesystem.ls(folder, detail=True))
    for info in sorted(infos, key=lambda info: info["name"]):
        name = info["name"].rstrip("/")
        if name == folder.rstrip("/") or name.rpartition("/")[2].startswith("."):  # a folder's own empty object
            continue
        if info.get("type") == "directory":
            if depth != 1:
                yield from _list_far(filesystem, name, root, None if depth is None else depth - 1)
        else:
            yield _entry(filesystem.unstrip_protocol(name), info)


def _entry(path: str, info: dict[str, Any]) -> Entry:
    size = info.get("size")
    told = (info.get(key) for key in ("ETag", "etag", "LastModified", "mtime", "created"))
    version = next((str(each).strip('"') for each in told if each is not None), "")
    return Entry(path, size if isinstance(size, int) else -1, version)
