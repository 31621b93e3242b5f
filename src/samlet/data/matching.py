"""Which file an annotation file means, and which record belongs to which image. Never a guess between two.

Names are paths inside a data set, written on any system: backslashes separate too, drives and roots are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from samlet.errors import DataError
from samlet.reading import is_file

Parts = tuple[str, ...]


def parts_of(name: str) -> Parts:
    """The folders and the file that a name tells; what leads out of the data set (a drive, a root, ..) is left out."""
    place = PureWindowsPath(name)
    parts = place.parts[1:] if place.anchor else place.parts
    outside = [index for index, part in enumerate(parts) if part == ".."]
    return parts[outside[-1] + 1 :] if outside else parts


class ImageFolder:
    """Finds the images that an annotation file lists under a folder. `names` are all of them, to see what is unique."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self._folder, self._names = folder, list(names)
        self.by_name_alone: dict[str, Path] = {}
        """Images that lie elsewhere than the file says and were found by the end of their path."""

    def find(self, name: str, split: str | None = None) -> Path | None:
        """The image of that name, or of the other name `split`; None if it is not there.

        It lies where its path says, from the folder on or from where the path names the folder. An end of the path is
        enough only where no other image of the file ends so.
        """
        literal = self._folder / name
        if not PureWindowsPath(name).anchor and ".." not in literal.parts and is_file(literal):
            return literal
        for parts in map(parts_of, (name, split) if split else (name,)):
            for place in self._places(parts):
                if is_file(place):
                    return place
        for tail in _tails(parts_of(name)):
            if self._tails[tail] == 1 and is_file(self._folder.joinpath(*tail)):
                self.by_name_alone[name] = self._folder.joinpath(*tail)
                return self.by_name_alone[name]
        return None

    def _places(self, parts: Parts) -> list[Path]:
        inside = [parts[index + 1 :] for index, part in enumerate(parts[:-1]) if part == self._own_name]
        return [self._folder.joinpath(*rest) for rest in (parts, *inside) if rest]

    @cached_property
    def _own_name(self) -> str:
        return self._folder.resolve().name

    @cached_property
    def _tails(self) -> Counter[Parts]:
        return Counter(tail for name in self._names for tail in (parts_of(name), *_tails(parts_of(name))))


def pair_records(
    images: Sequence[str], records: Sequence[str], stated: Callable[[str], str | None]
) -> tuple[dict[str, str], list[str]]:
    """The record of each image that has one, by full path, and the records without an image.

    A record belongs to the image that has its path but for the suffix. Of several it belongs to the one it names:
    `stated` reads that from the record. DataError if it names none of them.
    """
    by_stem: dict[PurePosixPath, list[str]] = {}
    for image in images:
        by_stem.setdefault(PurePosixPath(image).with_suffix(""), []).append(image)
    paired: dict[str, str] = {}
    alone = []
    for record in records:
        candidates = by_stem.get(PurePosixPath(record).with_suffix(""), [])
        if len(candidates) > 1:
            candidates = [_named(candidates, record, stated(record))]
        for image in candidates:
            paired[image] = record
        if not candidates:
            alone.append(record)
    return paired, alone


def check_named(content: object, record: Path, image: Path) -> None:
    """DataError if a record beside one image names another that is there too."""
    name = stated_name(content)
    if name is None or name == image.name or not is_file(record.with_name(name)):
        return
    raise DataError(f"{record} lies beside {image.name} but names {name}, which is there too: rename the record.")


def stated_name(content: object) -> str | None:
    """The file name of the image that a decoded labelme file or SA-1B record names, without its folders."""
    if not isinstance(content, Mapping):
        return None
    image = content.get("image")
    name = content.get("imagePath") or (image.get("file_name") if isinstance(image, Mapping) else None)
    return PureWindowsPath(name).name or None if isinstance(name, str) else None


def _tails(parts: Parts) -> list[Parts]:
    """The ends of a path, the longest first, down to the file name alone."""
    return [parts[index:] for index in range(1, len(parts))]


def _named(candidates: list[str], record: str, name: str | None) -> str:
    named = [image for image in candidates if PurePosixPath(image).name == name]
    if len(named) != 1:
        raise DataError(
            f"{record} may belong to {' or to '.join(candidates)}, and names neither (but {name!r}): rename one."
        )
    return named[0]
