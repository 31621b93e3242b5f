"""Reading one image of a job: what an item says is enough, whichever source it came from."""

from __future__ import annotations

from samlet.labeling.items import Item
from samlet.labeling.sources.stores import read

_INSIDE = ".tar::"


class ReadsItems:
    """What every source of this package does alike."""

    def state(self) -> str | None:
        """See `Source`: the images themselves must be looked at, unless a source says otherwise."""
        return None

    def read(self, item: Item) -> bytes:
        """The bytes of one image's file, of which it reads no other; errors as `stores.read`."""
        shard, inside, _ = item.path.partition(_INSIDE)
        if not inside:
            return read(item.path, item.size_bytes)
        return read(f"{shard}.tar", item.size_bytes, int(item.version.rpartition("@")[2]))


def member_path(shard: str, member: str) -> str:
    """The path of an item inside a tar."""
    return f"{shard}::{member}"


def member_version(shard_version: str, offset: int) -> str:
    """The version of an item inside a tar: the shard's, and where in it the image begins."""
    return f"{shard_version}@{offset}"
