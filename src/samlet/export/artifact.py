"""Writing an artifact folder whole or not at all, and replacing nothing but an artifact."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from samlet.errors import ModelError, OutputError
from samlet.files import aside_path, forget, make_folder, output_error, sha256_of
from samlet.marks import read_record
from samlet.runtime.artifact import MANIFEST, PARITY
from samlet.spec import ModelSpec

REMEDY = "choose a new or empty folder"


@contextmanager
def folder_aside(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder` that takes its place when the block ends well, and is removed otherwise.

    An artifact that lies there is replaced; OutputError, before any work, if anything else does, or anything beside it.
    """
    _check_replaceable(folder)
    make_folder(folder.parent)
    aside, replaced = aside_path(folder), aside_path(folder)
    try:
        aside.mkdir()
        yield aside
        _check_replaceable(folder)  # the work took minutes
        if folder.exists():
            folder.rename(replaced)
        try:
            aside.rename(folder)
        except BaseException:
            with suppress(OSError):
                replaced.rename(folder)
            raise
    except OSError as error:
        raise output_error(folder, error) from error
    finally:
        forget(aside)
    forget(replaced)


def _check_replaceable(folder: Path) -> None:
    try:
        if folder.is_symlink():
            raise OutputError(f"{folder} is a link, which is never replaced: {REMEDY}.")
        if not folder.exists():
            return
        if not folder.is_dir():
            raise OutputError(f"{folder} is a file: an artifact is a folder, choose another name.")
        names = {path.name for path in folder.iterdir()}
        if names:
            _check_artifact(folder, names)
    except OSError as error:
        raise output_error(folder, error) from error


def _check_artifact(folder: Path, names: set[str]) -> None:
    """OutputError unless a folder holds an artifact as it was written, and nothing else."""
    files = _files_of(folder)
    if files is None:
        raise OutputError(f"{folder} holds files that are no artifact: {REMEDY}.")
    others = sorted(names - {MANIFEST, PARITY, *files})
    if others:
        raise OutputError(f"{folder} holds {others[0]}, which is no part of the artifact there: {REMEDY}.")
    for name, digest in files.items():
        path = folder / name
        if path.is_symlink() or (path.exists() and (not path.is_file() or sha256_of(path) != digest)):
            raise OutputError(f"{path} was changed since it was exported: {REMEDY}.")


def _files_of(folder: Path) -> dict[str, str] | None:
    """The graphs that a manifest names, with their sha256; None if it is no manifest of samlet's."""
    manifest = read_record(folder / MANIFEST)
    files = manifest.get("files") if manifest else None
    if manifest is None or not isinstance(files, dict) or not all(isinstance(each, str) for each in files.values()):
        return None
    try:
        ModelSpec.from_json(manifest)
    except ModelError:
        return None
    return files
