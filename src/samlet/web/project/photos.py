"""Which photos a project has: those of the user's folder and those that were sent to it.

A photo is known by an id that follows from its name, so that it stays the same when the server starts again. Nothing
outside of the two folders is ever opened, whatever links lead there.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from samlet.data.image_folder import PHOTO_SUFFIXES, is_photo
from samlet.errors import ImageError, InputError
from samlet.files import forget, make_folder, write_aside
from samlet.images import upright_size

_ODD = re.compile(r"[^\w .()+-]+")
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Photo:
    """One photo: its id, its name for people (a path with `/`), where it lies, whether it was sent to the project."""

    id: str
    name: str
    path: Path
    sent: bool


class Photos:
    """The photos of a project: `folder` with all its sub-folders (None: no such), and `uploads`."""

    def __init__(self, folder: Path | None, uploads: Path) -> None:
        self._folder, self._uploads = folder, uploads

    def scan(self) -> dict[str, Photo]:
        """All photos by id: those of the folder by name, then those that were sent."""
        found = [*_walk(self._folder, sent=False), *_walk(self._uploads, sent=True)]
        return {photo.id: photo for photo in found}

    def add(self, name: str, content: bytes) -> Photo:
        """Keep a photo that was sent, under a name that no other has; ImageError if it is no image."""
        plain = _ODD.sub("_", PureWindowsPath(name).name)[-_LONGEST_NAME:].lstrip(".") or "photo"
        upright_size(content, plain)
        make_folder(self._uploads)
        path = _free(self._uploads / (plain if Path(plain).suffix.lower() in PHOTO_SUFFIXES else f"{plain}.jpg"))
        with write_aside(path) as aside:
            aside.write_bytes(content)
        return _photo(path, self._uploads, sent=True)

    def remove(self, photo: Photo) -> None:
        """Remove a photo that was sent; InputError for one of the user's folder, which is not ours."""
        if not photo.sent:
            raise InputError(f"{photo.name} lies in your own folder: samlet removes nothing there.")
        forget(photo.path)

    def check(self, photo: Photo) -> None:
        """ImageError if a photo is no longer what it was when it was found: gone, or a link that leads out."""
        root = self._uploads if photo.sent else self._folder
        if root is None or not photo.path.is_file() or not photo.path.resolve().is_relative_to(root.resolve()):
            raise ImageError(f"{photo.name} is not there any more.")


def _walk(folder: Path | None, sent: bool) -> Iterator[Photo]:
    if folder is None or not folder.is_dir():
        return
    root = folder.resolve()
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if is_photo(name) and path.is_file() and path.resolve().is_relative_to(root):
                yield _photo(path, folder, sent)


def _photo(path: Path, folder: Path, sent: bool) -> Photo:
    name = path.relative_to(folder).as_posix()
    known_as = f"{'sent' if sent else 'folder'}:{name}"
    identity = hashlib.sha256(os.fsencode(known_as)).hexdigest()[:20]
    return Photo(identity, name.encode(errors="replace").decode(), path, sent)


def _free(path: Path) -> Path:
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem} ({number})")
    return free
