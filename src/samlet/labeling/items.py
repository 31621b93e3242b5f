"""What is labeled: one image to be read, the objects that are asked for in it, and where images come from.

Knows no format and no store: sources bring those. All of it can be pickled and sent to another machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from samlet.geometry.rle import Rle


@dataclass(frozen=True)
class ObjectPrompt:
    """One object to be cut out of an image: a box, clicks, an earlier mask of it, or several of these together.

    `box_xyxy` and `points_xy` are in image pixels; `point_labels` has 1 (foreground) or 0 (background) for each point;
    `mask` is of the image's size. `label` is the class that the answer is given, None if nobody named it.
    """

    box_xyxy: tuple[float, float, float, float] | None = None
    points_xy: tuple[tuple[float, float], ...] = ()
    point_labels: tuple[int, ...] = ()
    mask: Rle | None = None
    label: str | None = None


ItemPrompts: TypeAlias = tuple[ObjectPrompt, ...]
"""The objects asked for in one image; an empty tuple is an image in which a detector found nothing."""


@dataclass(frozen=True)
class Item:
    """One image of a job.

    `image_id` is unique in a job: in a folder the path from its root (with slashes), in a manifest its id column or
    else the path. `path` is where it is read: a path, a URL, or SHARD.tar::member. `size_bytes` is -1 and `version`
    (mtime in ns, or an ETag) is "" where the source does not know. `prompts` is None where the source brings none.
    """

    image_id: str
    path: str
    size_bytes: int = -1
    version: str = ""
    prompts: ItemPrompts | None = None


class Source(Protocol):
    """Where images come from; picklable, for it is read by every worker.

    `items` raises `InputError` or `DataError` for what cannot be listed; `read` raises `ImageError` for an image that
    is missing or cannot be read, which loses that image alone, and any other SamletError for what ends the job.
    """

    @property
    def name(self) -> str:
        """As the user gave it."""
        ...

    def items(self) -> Iterator[Item]:
        """Every image once, streamed, in the same order each time."""
        ...

    def state(self) -> str | None:
        """What differs if `items` would, and is known without listing; None where there is no such thing."""
        ...

    def read(self, item: Item) -> bytes:
        """The bytes of one image's file."""
        ...
