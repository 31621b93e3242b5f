"""What a worker hands to a sink: the masks of a shard's images, and why some have none. Knows no file format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from samlet.labeling.items import Item
from samlet.masks import MaskSet


@dataclass(frozen=True)
class LabeledImage:
    """One image that is done: its sha256 (of the file's bytes), size and masks.

    `labels` has the class of each mask, None where nobody named it.
    """

    item: Item
    sha256: str
    size_bytes: int
    masks: MaskSet
    labels: tuple[str | None, ...]

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) of the image."""
        return self.masks.size_hw


@dataclass(frozen=True)
class BrokenItem:
    """One image that could not be labeled; `reason` is one sentence."""

    item: Item
    reason: str


@dataclass(frozen=True)
class ShardResult:
    """All images of one shard, in the order of their ids; `seconds` by stage is for people, never data."""

    number: int
    images: tuple[LabeledImage, ...]
    broken: tuple[BrokenItem, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def masks(self) -> int:
        """How many masks there are in all."""
        return sum(len(image.masks) for image in self.images)


def shard_name(number: int) -> str:
    """How files of a shard are called; names sort as numbers do, up to a hundred million shards."""
    return f"{number:08}"


class Sink(Protocol):
    """Where results go: one kind of file, or set of files, per shard."""

    def write(self, result: ShardResult, read: Callable[[Item], bytes]) -> dict[str, str]:
        """Write the files of one shard, each aside and then renamed; the name of each under the output: its sha256.

        The bytes depend on the result alone, and on the photos where a sink keeps those: `read` gives them again.
        `OutputError` if they cannot be written.
        """
        ...

    def files_of(self, number: int) -> Iterator[str]:
        """The names, under the output, that `write` may give the files of this shard."""
        ...
