"""What every reader yields: an image that is read on demand, and the annotations known about it.

Knows nothing about how a data set lies on disk, nor about models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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


def check_names(samples: Iterable[Sample]) -> None:
    """DataError if two samples have one name: results are kept by name."""
    seen: dict[str, Sample] = {}
    for sample in samples:
        first = seen.setdefault(sample.name, sample)
        if first is not sample:
            raise DataError(f"{first.image} and {sample.image} have the same name {sample.name!r}; rename one.")


def source_of(name: str) -> str:
    """The collection a file name tells: what stands before its first underscore (`coco_000123` → `coco`)."""
    return name.split("_", 1)[0]
