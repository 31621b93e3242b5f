"""Photos as files: all below a folder or a prefix of a store, those that match a pattern, or a single one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import has_magic

from samlet.data.image_folder import PHOTO_SUFFIXES, is_photo
from samlet.data.matching import parts_of
from samlet.errors import ImageError
from samlet.labeling.items import Item
from samlet.labeling.sources.reading import ReadsItems
from samlet.labeling.sources.stores import Entry, canonical, find, list_files


@dataclass(frozen=True)
class FolderSource(ReadsItems):
    """The photos below a folder or a prefix, sub-folders included; an image's id is its path from there.

    What samlet wrote there itself is no photo. ImageError if there is none.
    """

    name: str

    def items(self) -> Iterator[Item]:
        """Folder by folder, each by name."""
        root = canonical(self.name)
        yield from _some(_items(root, list_files(root)), f"{self.name} holds no image")


@dataclass(frozen=True)
class PatternSource(ReadsItems):
    """The photos that match a pattern of `*`, `?`, `[…]` and `**`; ids are paths from its first part with one of them.

    ImageError if there is none.
    """

    name: str

    def items(self) -> Iterator[Item]:
        """Folder by folder, each by name."""
        root, parts = split_pattern(canonical(self.name))
        fits = _matcher(parts)
        found = _items(root, list_files(root, None if "**" in parts else len(parts)))
        yield from _some((item for item in found if fits.fullmatch(item.image_id)), f"No image matches {self.name}")


@dataclass(frozen=True)
class FileSource(ReadsItems):
    """One photo; its id is its path as it was given, without the root of the disk or the name of the store."""

    name: str

    def items(self) -> Iterator[Item]:
        """The one."""
        place = canonical(self.name)
        yield Item("/".join(parts_of(self.name.partition("://")[2] or self.name)), *(find(place) or Entry(place)))


def split_pattern(pattern: str) -> tuple[str, list[str]]:
    """The folder above the first part of a canonical pattern that has a `*` or the like, and the parts from there."""
    parts = pattern.split("/")
    fixed = next(index for index, part in enumerate(parts) if has_magic(part))
    return "/".join(parts[:fixed]) or "/", parts[fixed:]


def _matcher(parts: Sequence[str]) -> re.Pattern[str]:
    """`**` is any number of folders; `*` and `?` stay in one."""
    folders = ("(?:[^/]+/)*" if part == "**" else _part(part) + "/" for part in parts[:-1])
    return re.compile("".join(folders) + (".*" if parts[-1] == "**" else _part(parts[-1])))


def _part(part: str) -> str:
    """The regular expression of one part of a pattern."""
    pieces = re.split(r"(\*+|\?|\[[^]]+])", part)
    return "".join(_meaning(piece) if number % 2 else re.escape(piece) for number, piece in enumerate(pieces))


def _meaning(magic: str) -> str:
    return "[^/]*" if magic[0] == "*" else "[^/]" if magic == "?" else magic.replace("[!", "[^").replace("\\", "\\\\")


def _items(root: str, entries: Iterator[Entry]) -> Iterator[Item]:
    for entry in entries:
        image_id = entry.path[len(root) :].lstrip("/")
        if is_photo(image_id.rpartition("/")[2]):
            yield Item(image_id, *entry)


def _some(items: Iterator[Item], nothing: str) -> Iterator[Item]:
    """The items; ImageError if there are none."""
    first = next(items, None)
    if first is None:
        raise ImageError(f"{nothing} ({', '.join(sorted(PHOTO_SUFFIXES))}).")
    yield first
    yield from items
