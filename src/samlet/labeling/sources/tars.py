"""SA-1B's tar shards, or any plain tars of photos: read where they lie, a member at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from samlet.data.shards import is_photo_member, list_places
from samlet.errors import DataError
from samlet.labeling.items import Item
from samlet.labeling.sources.reading import ReadsItems, member_path, member_version
from samlet.labeling.sources.stores import Entry, canonical, find, opened

_HEADERS_AHEAD_BYTES = 1 << 16  # of a shard in a store: the header after the next is most often beyond


@dataclass(frozen=True)
class TarSource(ReadsItems):
    """The photos of one shard; ids are the shard's name and the member's, `sa_000020/sa_223750.jpg`.

    DataError for what is no plain tar, a damaged one and one without a photo.
    """

    name: str

    def items(self) -> Iterator[Item]:
        """By the place in the shard; its headers are read, nothing else."""
        where = canonical(self.name)
        shard = find(where) or Entry(where)
        with opened(self.name, _HEADERS_AHEAD_BYTES) as (file, size):
            places = [place for place in list_places(file, size, self.name) if is_photo_member(place.name)]
        if not places:
            raise DataError(f"{self.name} holds no image.")
        stem = PurePosixPath(where).stem
        for place in places:
            path, version = member_path(shard.path, place.name), member_version(shard.version, place.offset)
            yield Item(f"{stem}/{place.name}", path, place.size, version)
