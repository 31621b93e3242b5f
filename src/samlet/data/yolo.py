"""YOLO's text files: NAME.txt for NAME.jpg, a line for each object: its class, then the corners of its outline.

Corners are fractions of the image, x and y in turn (Ultralytics' segmentation format). A line of a class and four
numbers is a box, which is no mask. An empty file says that the image holds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from samlet.data.fields import image_size_hw
from samlet.data.sample import Annotation, Sample, source_of
from samlet.errors import DataError
from samlet.geometry.outlines import as_one_ring, joined
from samlet.geometry.rle import area, from_polygons, to_box
from samlet.masks import MaskSet
from samlet.reading import reading

_SLACK = 0.01  # outlines are rounded and may leave the image by a hair
_LARGEST_BYTES = 64 << 20
_NUMBERS = re.compile(r"\d+(?:\s+[-+.\deE]+)+")


def is_yolo(file: Path) -> bool:
    """Whether a text file beside an image is YOLO's: empty, or numbers from the first line on. A caption is not."""
    with reading(file, "text"), file.open("rb") as opened:
        head = opened.read(4096).decode("utf-8", "replace")
    if not head.strip():
        return file.stat().st_size <= len(head)
    return _NUMBERS.fullmatch(next(line for line in head.splitlines() if line.strip()).strip()) is not None or (
        "\n" not in head and _NUMBERS.match(head) is not None
    )


def read_yolo(file: Path, name: str, image: Path) -> Sample:
    """An image with the masks of its text file; DataError names the line."""
    height, width = image_size_hw(image, str(image))
    with reading(file, "text of YOLO"):
        if file.stat().st_size > _LARGEST_BYTES:
            raise DataError(f"{file} is larger than {_LARGEST_BYTES >> 20} MiB: it is no text of YOLO.")
        lines = file.read_text(encoding="utf-8").splitlines()
    annotations = tuple(
        _annotation(number, line.split(), (height, width), f"{file}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    )
    return Sample(name, source_of(name), image, (height, width), annotations)


def to_text(masks: MaskSet, class_numbers: int | Sequence[int] = 0, tolerance_px: float = 1.0) -> str:
    """The label file of one image; `class_numbers` is one for all masks or one for each.

    A line holds one polygon only, so the parts and holes of a mask are joined over bridges of no width. Empty masks
    have no line.
    """
    height, width = masks.size_hw
    lines = []
    each = [class_numbers] * len(masks) if isinstance(class_numbers, int) else class_numbers
    for mask, class_number in zip(masks, each, strict=True):
        rings = [as_one_ring(polygon) for polygon in mask.polygons(tolerance_px)]
        if rings:
            shares = (joined(rings) / (width, height)).ravel()
            lines.append(" ".join([str(class_number), *(f"{share:.6g}" for share in shares)]))
    return "".join(f"{line}\n" for line in lines)


def _annotation(number: int, words: list[str], size_hw: tuple[int, int], where: str) -> Annotation:
    try:
        kind, corners = int(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        raise DataError(f"{where} is not a class number and the corners of an outline.") from None
    if len(corners) == 4:
        raise DataError(f"{where} is a box: samlet measures masks, so boxes alone are not enough.")
    if len(corners) < 6 or len(corners) % 2:
        raise DataError(
            f"{where} has {len(corners)} numbers behind the class; an outline has 6 or more, x and y in turn."
        )
    if not all(-_SLACK <= corner <= 1 + _SLACK for corner in corners):
        raise DataError(f"{where} has corners beyond 0 and 1; YOLO's are fractions of the image.")
    height, width = size_hw
    pixels = [corner * (height if index % 2 else width) for index, corner in enumerate(corners)]
    rle = from_polygons([pixels], size_hw)
    left, top, wide, high = to_box(rle)
    return Annotation(number, rle, (left, top, wide, high), float(area(rle)), str(kind))
