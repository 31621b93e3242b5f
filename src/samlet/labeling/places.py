"""Where a job's output lies: named files that appear whole or not at all. Here a folder; stores are their own module.

Names are relative, with slashes. Only what drivers share (the lease) is ever changed by more than one process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from samlet.errors import DataError, OutputError
from samlet.files import forget, make_folder, sweep, write_aside
from samlet.hub.lock import locked
from samlet.reading import is_folder, is_missing, reading

_LOCK = ".lock"


class Place(Protocol):
    """A folder or the prefix of an object store; picklable. What cannot be written is an `OutputError`."""

    @property
    def name(self) -> str:
        """As the user gave it."""
        ...

    def read(self, name: str) -> bytes | None:
        """The content of a file, None if there is none; `DataError` if it cannot be read."""
        ...

    def write(self, name: str, content: bytes | Iterator[bytes]) -> None:
        """Make a file or replace it, whole or not at all."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Make a file unless there is one; whether it was made. Of several that try, one succeeds."""
        ...

    def swap(self, name: str, before: bytes, content: bytes) -> bool:
        """Replace a file if its content is still `before`; whether it was. Of several that try, one succeeds."""
        ...

    def names(self, folder: str) -> list[str]:
        """The names of what lies in a folder ("" is the place itself), sorted, hidden ones left out."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def tidy(self, folder: str) -> None:
        """Remove what killed writers left half-written in a folder, where that is possible."""
        ...


@dataclass(frozen=True)
class Folder:
    """A folder of this machine, or one that several machines mount."""

    path: Path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    def read(self, name: str) -> bytes | None:
        """See `Place`."""
        path = self.path / name
        if is_missing(path):
            return None
        with reading(path, "a file of samlet label"):
            return path.read_bytes()

    def write(self, name: str, content: bytes | Iterator[bytes]) -> None:
        """See `Place`; flushed to the disk before it is there."""
        path = self.path / name
        make_folder(path.parent)
        with write_aside(path) as aside, aside.open("wb") as file:
            for piece in (content,) if isinstance(content, bytes) else content:
                file.write(piece)

    def create(self, name: str, content: bytes) -> bool:
        """See `Place`."""
        return self._exchange(name, None, content)

    def swap(self, name: str, before: bytes, content: bytes) -> bool:
        """See `Place`."""
        return self._exchange(name, before, content)

    def names(self, folder: str) -> list[str]:
        """See `Place`."""
        path = self.path / folder
        if is_missing(path):
            return []
        if not is_folder(path):
            raise OutputError(f'Cannot write into "{path}": it is a file, not a folder.')
        try:
            return sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
        except OSError as error:
            raise DataError(f"{path} cannot be listed: {error.strerror or error}.") from error

    def remove(self, name: str) -> None:
        """See `Place`."""
        forget(self.path / name)

    def tidy(self, folder: str) -> None:
        """See `Place`."""
        if not is_missing(self.path / folder):
            sweep(self.path / folder)

    def _exchange(self, name: str, before: bytes | None, content: bytes) -> bool:
        """Write a file if its content is `before`, while nobody else does."""
        make_folder(self.path)
        with locked(self.path / _LOCK):
            same = self.read(name) == before
            if same:
                self.write(name, content)
        return same
