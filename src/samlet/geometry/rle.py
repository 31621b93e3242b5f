"""Run-length codes of masks, as COCO writes them: column by column, the first run counts zeros.

pycocotools does the work. It is imported when first used, because `import samlet` must stay fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from samlet.errors import DataError


class Rle(TypedDict):
    """A compressed code: `size` is [height, width], `counts` COCO's text form of the run lengths."""

    size: list[int]
    counts: bytes


def encode(mask: NDArray[np.bool_]) -> Rle:
    """Code of a mask [H, W]."""
    from pycocotools import mask as coco

    coded = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in coded["size"]], "counts": coded["counts"]}


def decode(rle: Rle) -> NDArray[np.bool_]:
    """The mask [H, W] of a code."""
    from pycocotools import mask as coco

    return coco.decode(_for_coco(rle)).astype(bool)


def area(rle: Rle) -> int:
    """Number of pixels (px²) inside the mask."""
    from pycocotools import mask as coco

    return int(coco.area(_for_coco(rle)))


def to_box(rle: Rle) -> tuple[int, int, int, int]:
    """Tight box XYWH in pixels; one pixel has width 1 and height 1, an empty mask gives (0, 0, 0, 0)."""
    from pycocotools import mask as coco

    left, top, width, height = (int(value) for value in coco.toBbox(_for_coco(rle)))
    return left, top, width, height


def to_counts(rle: Rle) -> list[int]:
    """The run lengths themselves; the first counts zeros and may be 0."""
    runs = _parse_counts(rle["counts"])
    if runs is None:
        raise DataError("A run-length code ends in the middle of a number: the record is damaged.")
    return runs.tolist()


def from_counts(counts: Sequence[int], size_hw: tuple[int, int]) -> Rle:
    """Code of run lengths (zeros first, column by column) of a mask of `size_hw`. Raises DataError."""
    from pycocotools import mask as coco

    height, width = size_hw
    runs = np.asarray(counts, np.int64)
    _check_runs(runs, height, width)
    coded = coco.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return {"size": [height, width], "counts": coded["counts"]}


def from_json(segmentation: Mapping[str, Any]) -> Rle:
    """Code from a record's `segmentation`, compressed (text) or not (list of runs), checked. Raises DataError."""
    try:
        height, width = (int(side) for side in segmentation["size"])
        counts = segmentation["counts"]
    except (KeyError, TypeError, ValueError):
        raise DataError("A segmentation must be a run-length code with the keys 'size' and 'counts'.") from None
    if isinstance(counts, (list, tuple)):
        return from_counts(counts, (height, width))
    text = counts.encode() if isinstance(counts, str) else bytes(counts)
    _check_runs(_parse_counts(text), height, width)
    return {"size": [height, width], "counts": text}


def _for_coco(rle: Rle) -> Any:
    return rle


def _check_runs(runs: NDArray[np.int64] | None, height: int, width: int) -> None:
    """pycocotools trusts its input and would write outside the mask."""
    if runs is None or (runs < 0).any() or runs.sum() != height * width:
        raise DataError(f"A run-length code does not fill its {width} x {height} pixels: the record is damaged.")


def _parse_counts(text: bytes) -> NDArray[np.int64] | None:
    """Run lengths of COCO's text form, None if it is damaged.

    Six bits a character (from 48): five of value, one that says "more follows". Lowest bits first; the last
    character's top value bit is the sign. From the fourth on, a number is the difference to the one two before.
    """
    symbols = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if symbols.size == 0 or symbols.min() < 0 or symbols.max() > 63 or symbols[-1] & 32:
        return None
    last = np.flatnonzero((symbols & 32) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    position = np.arange(symbols.size) - np.repeat(first, last - first + 1)
    if position.max() > 6:
        return None
    runs = np.add.reduceat((symbols & 31) << (5 * position), first)
    runs -= ((symbols[last] >> 4) & 1) << (5 * (position[last] + 1))
    runs[1::2] = runs[1::2].cumsum()
    runs[2::2] = runs[2::2].cumsum()
    return runs
