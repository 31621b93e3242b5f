"""Masks as pictures: a PNG of the image's size whose values say which pixel belongs to what; 0 is nobody's.

A picture of one value is one mask (0 and 255, or 0 and 1). Of several, each value is one mask: numbers of objects, as
`samlet everything` writes them, or of classes, as data sets of semantic segmentation do. In 8 bits 255 beside other
values is the border that nobody is judged by (PASCAL VOC, Cityscapes), and no mask.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from samlet.data.fields import image_size_hw
from samlet.data.sample import Annotation, Sample, Stored, source_of
from samlet.errors import DataError, ImageError
from samlet.geometry.rle import area, encode, to_box
from samlet.images import decode_levels

_VOID = 255
_MOST_MASKS = 65535
_BUSY = 0.25  # of neighboring pixels differ in a photo; in a map of regions a few of a hundred do
_BLURRED = 3  # values between black and white that only rims have


def is_label_map(file: Path, size_hw: tuple[int, int]) -> bool:
    """Whether a PNG beside an image of `size_hw` is its mask, by its header: one channel and the same size."""
    with Image.open(file, formats=("PNG",)) as image:
        return image.mode in ("1", "L", "P", "I", "I;16") and image.size == size_hw[::-1]


def read_label_map(file: Path, name: str, image: Path | Stored) -> Sample:
    """An image with the masks of the PNG that belongs to it; DataError names the PNG."""
    size_hw = image_size_hw(image, str(image)) if isinstance(image, Path) else None
    try:
        levels = decode_levels(file, str(file))
    except ImageError as error:
        raise DataError(str(error)) from error
    if size_hw is not None and levels.shape != size_hw:
        (height, width), (image_height, image_width) = levels.shape, size_hw
        raise DataError(f"{file} has {width}x{height} pixels, but its image {image_width}x{image_height}.")
    annotations = tuple(_annotation(int(value), levels == value) for value in _values(levels, file))
    return Sample(name, source_of(name), image, levels.shape, annotations)


def _values(levels: NDArray[Any], file: Path) -> list[int]:
    """The values that stand for masks, smallest first; DataError for a picture that is no map."""
    if levels.dtype == bool:
        return [1] if levels.any() else []
    values, counts = np.unique(levels, return_counts=True)
    share = dict(zip(values.tolist(), counts.tolist(), strict=True))
    if len(values) > 2 and np.count_nonzero(levels[:, 1:] != levels[:, :-1]) > _BUSY * levels.size:
        raise DataError(
            f"{file} has one channel but looks like a photo, not like a mask: neighboring pixels differ everywhere. "
            "Give it another name than the image has, or another folder."
        )
    between = [value for value in share if 0 < value < _VOID]
    if (
        levels.dtype == np.uint8
        and len(between) >= _BLURRED
        and max(share[value] for value in between) * 10 < share.get(_VOID, 0)
    ):
        raise DataError(f"{file} is a mask with blurred rims ({len(values)} gray levels): make it black and white.")
    void = levels.dtype == np.uint8 and bool(between)
    masks = [value for value in share if value != 0 and not (void and value == _VOID)]
    if min(share) < 0 or len(masks) > _MOST_MASKS:
        raise DataError(f"{file} has {len(masks)} values from {min(share)} to {max(share)}; it is no map of labels.")
    return masks


def _annotation(value: int, mask: NDArray[np.bool_]) -> Annotation:
    rle = encode(mask)
    left, top, width, height = to_box(rle)
    return Annotation(value, rle, (left, top, width, height), float(area(rle)))
