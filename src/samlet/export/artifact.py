"""Writing an artifact folder whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from samlet.errors import OutputError
from samlet.files import make_folder, output_error
from samlet.runtime.artifact import MANIFEST


@contextmanager
def folder_aside(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder` that takes its place when the block ends well, and is removed otherwise.

    An artifact that lies there is replaced; OutputError, before any work, if something else does.
    """
    _check_replaceable(folder)
    make_folder(folder.parent)
    mark = secrets.token_hex(4)
    aside, replaced = (folder.with_name(f".{mark}.{what}.{folder.name}") for what in ("new", "old"))
    try:
        aside.mkdir()
        yield aside
        if folder.exists():
            folder.rename(replaced)
        aside.rename(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file: an artifact is a folder, choose another name.")
    if any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise OutputError(f"{folder} holds files that are no artifact: choose a new or empty folder.")
