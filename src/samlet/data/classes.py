"""Images and the classes people gave them: of a whole image, or of each of its pixels.

Knows what such data is once it is opened, not how it lies on disk: that is `class_folders` and `class_maps`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.classes import MOST_CLASSES
from samlet.data.sample import Sample
from samlet.errors import DataError, ImageError
from samlet.images import decode_levels, read_image
from samlet.reading import reading

IGNORED = -1
"""The class of a pixel that nobody is judged by."""

_REFUSED = -2


@dataclass(frozen=True, repr=False)
class ClassSample(Sample):
    """An image of one class, the `label`-th. Its size is not known before it is read: `size_hw` is (0, 0)."""

    label: int = 0

    @property
    def facts(self) -> tuple[Any, ...]:
        """See `Sample`."""
        return ("class", self.label)

    def read_image(self) -> NDArray[np.uint8]:
        """The image as uint8 RGB [H, W, 3]; DataError if it cannot be read."""
        try:
            return read_image(self.image) if isinstance(self.image, Path) else self.image()
        except ImageError as error:
            raise DataError(f"{self.name}: {error}") from error


@dataclass(frozen=True)
class Coding:
    """Which class a stored value stands for: `classes[value]`, IGNORED for none.

    A value that is not there is refused, but for `ignored` ones.
    """

    classes: tuple[int, ...]
    ignored: tuple[int, ...] = (255,)

    def decode(self, levels: NDArray[Any], file: Path) -> NDArray[np.int32]:
        """Stored values [H, W] -> classes int32 [H, W]; DataError names the file and the first value without one."""
        values = levels.astype(np.int64)
        known = (values >= 0) & (values < len(self.classes))
        table = np.array([*self.classes, _REFUSED], np.int32)
        found = table[np.where(known, values, len(self.classes))]
        found[np.isin(values, self.ignored)] = IGNORED
        wrong = found == _REFUSED
        if wrong.any():
            y, x = np.argwhere(wrong)[0]
            last = len(self.classes) - 1
            raise DataError(
                f"{file} has the value {values[y, x]} at x {x}, y {y}, which is no class: values are 0 to {last}, "
                f"and {' or '.join(map(str, self.ignored)) or 'none'} for pixels to ignore."
            )
        return found


@dataclass(frozen=True, repr=False)
class ClassMapSample(Sample):
    """An image with a map of classes of the same size: `labels` is its file, `coding` what its values mean."""

    labels: Path = Path()
    coding: Coding = Coding(())

    @property
    def facts(self) -> tuple[Any, ...]:
        """See `Sample`."""
        return ("class map", self.labels.name)

    def stored_truth(self) -> bytes:
        """See `Sample`."""
        with reading(self.labels, "a label map"):
            return self.labels.read_bytes()

    def read_classes(self) -> NDArray[np.int32]:
        """The class of each pixel, IGNORED for none: int32 [H, W].

        DataError if the file cannot be read, is not of the image's size, or has a value that is no class.
        """
        try:
            levels = decode_levels(self.labels, str(self.labels))
        except ImageError as error:
            raise DataError(str(error)) from error
        check_same_size(self.labels, levels.shape[:2], self.size_hw)
        return self.coding.decode(levels, self.labels)


@dataclass(frozen=True)
class ClassData:
    """What a reader found: samples in a fixed order, the names of their classes, the files that are missing."""

    samples: list[Sample]
    classes: tuple[str, ...]
    missing: tuple[str, ...] = ()


def check_same_size(labels: Path, labels_hw: tuple[int, ...], image_hw: tuple[int, int]) -> None:
    """DataError if a label map is of another size than its image."""
    if tuple(labels_hw) != tuple(image_hw):
        (height, width), (image_height, image_width) = labels_hw, image_hw
        raise DataError(
            f"{labels} has {width}x{height} pixels, but its image {image_width}x{image_height}: bring the map that was "
            "made of this image."
        )


def check_classes(classes: Sequence[str], where: str) -> tuple[str, ...]:
    """The names of classes; DataError for a name that is empty or there twice, and for none or too many of them."""
    names = tuple(name.strip() for name in classes)
    if not 1 <= len(names) <= MOST_CLASSES:
        raise DataError(f"{where} names {len(names)} classes: give 1 to {MOST_CLASSES:,}.")
    for number, name in enumerate(names):
        if not name:
            raise DataError(f"{where}: the name of class {number} is empty.")
        if name in names[:number]:
            raise DataError(f"{where} names the class {name!r} twice: give each once.")
    return names


def read_class_names(file: Path) -> tuple[str, ...]:
    """The names in a text file, one a line, in the order of their numbers; DataError for what is none."""
    with reading(file, "a list of classes"):
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    return check_classes(lines, str(file))
