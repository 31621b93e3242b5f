"""Where a verb may write, looked at before it works: `Annotated[Path, Parameter(validator=folder_to_write)]`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from samlet.marks import is_our_json


def folder_to_write(_type: Any, folder: Path | None) -> None:
    """A cyclopts validator: ValueError if the folder is something else, or could not be made or written to."""
    if folder is None:
        return
    try:
        there = _nearest(folder)
    except OSError as error:
        raise ValueError(f'Cannot write "{folder}": {error.strerror or error}.') from error
    if not there.is_dir():
        raise ValueError(f'Cannot write "{folder}": {_named(there, folder)} is a file, not a folder.')
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f'Cannot write "{folder}": no permission to write there: choose another folder.')


def file_to_write(type_: Any, file: Path | None) -> None:
    """A cyclopts validator: ValueError if a folder is in the file's place, or its folder could not be written to."""
    if file is None:
        return
    if file.is_dir():
        raise ValueError(f'Cannot write "{file}": it is a folder: choose another name.')
    folder_to_write(type_, file.parent)


def record_to_write(type_: Any, file: Path | None) -> None:
    """As `file_to_write`, and ValueError if a file lies there that samlet did not write, or that was changed since."""
    file_to_write(type_, file)
    if file is not None and file.exists() and not is_our_json(file):
        raise ValueError(f'"{file}" was not written by samlet, or was changed since: choose another name.')


def _nearest(path: Path) -> Path:
    """The path, or the nearest above it that exists: a link that leads nowhere does."""
    for each in (path, *path.absolute().parents):
        if each.is_symlink() or each.exists():
            return each
    return path


def _named(place: Path, asked: Path) -> str:
    return "it" if place == asked else f'"{place}"'
