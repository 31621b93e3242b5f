"""From what a user names - files, folders, patterns - to image files."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from samlet.data.image_folder import PHOTO_SUFFIXES, is_photo
from samlet.errors import ImageError
from samlet.reading import is_folder, is_missing, list_folder, reading

Photos: TypeAlias = Annotated[
    list[Path],
    Parameter(help="Image files, folders of them (without the folders inside), or patterns such as 'day1/**/*.jpg'."),
]


def find_photos(named: Sequence[Path]) -> list[Path]:
    """The image files that are meant, in the order of the arguments, those of a folder or pattern sorted.

    What samlet wrote into a folder is no photo. ImageError if something does not exist, is no file, or holds no image.
    """
    return [photo for each in named for photo in _photos_of(each)]


def photos_in(folder: Path) -> list[Path]:
    """The image files of a folder, sorted; none if it holds none. ImageError if it cannot be read."""
    return [path for path in list_folder(folder, ImageError) if path.is_file() and is_photo(path.name)]


def photos_of_classes(folder: Path) -> list[Path]:
    """The image files of the folders in a folder, one class after another; none if it holds images itself."""
    if photos_in(folder):
        return []
    return [photo for inner in list_folder(folder, ImageError) if inner.is_dir() for photo in photos_in(inner)]


def _photos_of(named: Path) -> list[Path]:
    if has_magic(str(named)) and is_missing(named):
        return _matches(str(named))
    if is_folder(named, ImageError):
        found = photos_in(named)
        if not found:
            deeper = f"; for those of the folders in it: '{named}/*/*'" if photos_of_classes(named) else ""
            raise ImageError(f"{named} holds no image ({', '.join(sorted(PHOTO_SUFFIXES))}){deeper}.")
        return found
    with reading(named, "an image", ImageError):
        return [named]


def _matches(pattern: str) -> list[Path]:
    matches = map(Path, glob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    found = sorted(path for path in matches if path.is_file() and is_photo(path.name))
    if not found:
        raise ImageError(f"No image matches {pattern}.")
    return found
