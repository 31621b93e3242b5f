"""Results in an object store, `s3://bucket/prefix`: a file is one put, and what drivers share is put under a condition.

S3 has conditional puts (If-None-Match, If-Match), and so have the stores that speak its language. Without them two
drivers could both believe that an output is theirs, so other stores are refused as outputs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samlet.errors import DataError, InputError, OutputError
from samlet.files import output_error
from samlet.labeling.places import Folder, Place
from samlet.labeling.sources.retrying import retried, status_of
from samlet.labeling.sources.stores import filesystem_of, is_url
from samlet.labeling.sources.telling import protocol_of, telling

_CONDITIONAL = frozenset({"s3"})
_CONDITION_FAILED = frozenset({409, 412})


def open_place(output: str) -> Place:
    """Where an output lies: a folder, or a prefix of an S3 store. InputError for a URL of anything else."""
    if not is_url(output):
        return Folder(Path(output))
    if protocol_of(output) not in _CONDITIONAL:
        raise InputError(
            f"{output}: results go to a folder or to an s3:// store; others have no conditional put, by which drivers "
            "of one output keep apart."
        )
    filesystem_of(output)
    return Bucket(output.rstrip("/"))


@dataclass(frozen=True)
class Bucket:
    """A prefix of an object store; `name` is its URL."""

    name: str

    def read(self, name: str) -> bytes | None:
        """See `Place`."""
        filesystem, path = self._at(name)

        def ask() -> bytes | None:
            try:
                content: bytes = filesystem.cat_file(path)
            except FileNotFoundError:
                return None
            return content

        with telling(f"{self.name}/{name}", DataError):
            return retried(ask)

    def write(self, name: str, content: bytes | Iterator[bytes]) -> None:
        """See `Place`. What comes in pieces is collected on this machine's disk, for a put that fails is made again."""
        filesystem, path = self._at(name)
        if isinstance(content, bytes):
            with self._writing(name):
                retried(lambda: filesystem.pipe_file(path, content))
            return
        with tempfile.NamedTemporaryFile() as file:
            try:
                for piece in content:
                    file.write(piece)
                file.flush()
            except OSError as error:
                raise output_error(Path(file.name), error) from error
            with self._writing(name):
                retried(lambda: filesystem.put_file(file.name, path))

    def create(self, name: str, content: bytes) -> bool:
        """See `Place`."""
        filesystem, path = self._at(name)
        return self._put_if(lambda: filesystem.pipe_file(path, content, mode="create"), name, content)

    def swap(self, name: str, before: bytes, content: bytes) -> bool:
        """See `Place`. The tag is asked for first: it is of no use any more if the file changes in between."""
        filesystem, path = self._at(name)
        with telling(f"{self.name}/{name}", OutputError, "written"):
            try:
                tag = retried(lambda: filesystem.info(path))["ETag"]
            except FileNotFoundError:
                return False
        if self.read(name) != before:
            return False
        return self._put_if(lambda: filesystem.pipe_file(path, content, IfMatch=tag), name, content)

    def names(self, folder: str) -> list[str]:
        """See `Place`."""
        filesystem, path = self._at(folder)

        def ask() -> list[str]:
            try:
                found: list[str] = filesystem.ls(path, detail=False)
            except FileNotFoundError:
                return []
            return found

        with telling(f"{self.name}/{folder}", DataError):
            names = [each.rstrip("/") for each in retried(ask)]
        inner = (name.rpartition("/")[2] for name in names if name != path.rstrip("/"))
        return sorted(name for name in inner if not name.startswith("."))

    def remove(self, name: str) -> None:
        """See `Place`."""
        filesystem, path = self._at(name)

        def ask() -> None:
            try:
                filesystem.rm_file(path)
            except FileNotFoundError:
                return

        with telling(f"{self.name}/{name}", OutputError, "written"):
            retried(ask)

    def tidy(self, folder: str) -> None:
        """See `Place`: a put that was not ended is not there."""

    def _at(self, name: str) -> tuple[Any, str]:
        return filesystem_of(f"{self.name}/{name}" if name else self.name)

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        """OutputError for what goes wrong with a put."""
        where = f"{self.name}/{name}"
        with telling(where, OutputError, "written"):
            try:
                yield
            except FileNotFoundError as error:
                raise OutputError(f'Cannot write "{where}": there is no such bucket: make it first.') from error

    def _put_if(self, put: Callable[[], Any], name: str, content: bytes) -> bool:
        """A put under a condition; whether it was met. One that was made and whose answer got lost was met too."""
        with self._writing(name):
            try:
                retried(put)
            except Exception as error:
                if not isinstance(error, FileExistsError) and status_of(error) not in _CONDITION_FAILED:
                    raise
                return self.read(name) == content
        return True
