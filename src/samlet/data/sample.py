"""What every reader yields: an image that is read on demand, and the annotations known about it.

Knows nothing about how a data set lies on disk, nor about models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from samlet.errors import DataError, ImageError
from samlet.geometry.rle import Rle, decode
from samlet.images import read_image


@dataclass(frozen=True, slots=True)
class Annotation:
    """One mask as COCO RLE `{"size": [h, w], "counts": bytes}`; box and area as the data set states them.

    `category` is the name of its kind, where the data set tells one; `crowd` marks a group drawn as one mask.
    """

    id: int | str
    rle: Rle
    box_xywh: tuple[float, float, float, float]
    area_px: float
    category: str | None = None
    crowd: bool = False

    def to_array(self) -> NDArray[np.bool_]:
        """The mask as bool `[H, W]`."""
        return decode(self.rle)


@dataclass(frozen=True, slots=True)
class Detection:
    """A box that a detector found, in image pixels (it may leave the image), with the detector's category and score."""

    category_id: int
    box_xywh: tuple[float, float, float, float]
    score: float


@runtime_checkable
class Stored(Protocol):
    """An image that is no file of its own."""

    @property
    def place(self) -> PurePath:
        """The path of the file that holds it, and behind that its name there."""
        ...

    def __call__(self) -> NDArray[np.uint8]:
        """The image as uint8 RGB [H, W, 3]."""
        ...


@dataclass(frozen=True, repr=False)
class Sample:
    """One image with its annotations (none for a plain photo).

    `image` is a path, or a function that returns uint8 RGB `[H, W, 3]` (an image inside an archive).
    `source` names the collection the image comes from; measurements are reported per source. `image_id` is what a
    COCO or LVIS file calls the image, None elsewhere. `detections` are boxes to segment instead of the annotated ones.
    """

    name: str
    source: str
    image: Path | Callable[[], NDArray[np.uint8]]
    size_hw: tuple[int, int]
    annotations: tuple[Annotation, ...] = ()
    image_id: int | None = None
    detections: tuple[Detection, ...] = ()

    def __repr__(self) -> str:
        height, width = self.size_hw
        return f"Sample({self.name!r}, {width} x {height} pixels, {len(self.annotations)} annotations)"

    @property
    def facts(self) -> tuple[Any, ...]:
        """What else tells this sample from others, as JSON values: a class, say. Empty where masks tell all."""
        return ()

    def stored_truth(self) -> bytes:
        """The file that says what is true of the image, where that is no annotation; DataError if it is unreadable."""
        return b""

    def read_image(self) -> NDArray[np.uint8]:
        """The image as uint8 RGB `[H, W, 3]`; DataError if unreadable or of another size than stated."""
        try:
            pixels = read_image(self.image) if isinstance(self.image, Path) else self.image()
        except ImageError as error:
            raise DataError(f"{self.name}: {error}") from error
        if pixels.shape[:2] != self.size_hw:
            (height, width), (stated_h, stated_w) = pixels.shape[:2], self.size_hw
            raise DataError(
                f"{self.name}: the image is {width}x{height} but its annotations are for {stated_w}x{stated_h}; "
                "use the image the annotations were made on."
            )
        return pixels


class Opened(NamedTuple):
    """What a reader found: the samples in a fixed order, and the files it missed, by name."""

    samples: list[Sample]
    missing: list[str]


def tell_apart(samples: Sequence[Sample]) -> list[Sample]:
    """The samples, in order, each with a name of its own: results are kept by name.

    Of equal names each takes its suffix (`a.jpg`, `a.png`) or as many folders as tell it from the others (`cam1/a`).
    DataError if two samples are one file.
    """
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.name, []).append(sample)
    named: dict[int, Sample] = {}
    for group in (group for group in groups.values() if len(group) > 1):
        for sample, name in zip(group, _longer_names(group), strict=True):
            named[id(sample)] = replace(sample, name=name)
    apart = [named.get(id(sample), sample) for sample in samples]
    # A longer name may be another sample's own: rare, but worth a second look.
    return apart if len({sample.name for sample in apart}) == len(apart) else tell_apart(apart)


def _longer_names(group: Sequence[Sample]) -> list[str]:
    places = [_place(sample) for sample in group]
    names = [sample.name + place.suffix for sample, place in zip(group, places, strict=True)]
    depth = 0
    while len(set(names)) < len(names):
        depth += 1
        if depth > max(len(place.parts) for place in places):
            raise DataError(f"{places[0]} is there twice, as {group[0].name!r}: give each image once.")
        folders = [PurePath(*place.parent.parts[-depth:]).as_posix().strip("/") for place in places]
        names = [f"{folder}/{place.stem}" for folder, place in zip(folders, places, strict=True)]
        if len(set(names)) < len(names):
            names = [name + place.suffix for name, place in zip(names, places, strict=True)]
    return names


def _place(sample: Sample) -> PurePath:
    """Where the image lies; inside an archive, the archive counts as a folder."""
    image = sample.image
    return image if isinstance(image, Path) else image.place if isinstance(image, Stored) else PurePath(sample.name)


def source_of(name: str) -> str:
    """The collection a file name tells: what stands before its first underscore (`coco_000123` → `coco`)."""
    return PurePath(name).name.split("_", 1)[0]
