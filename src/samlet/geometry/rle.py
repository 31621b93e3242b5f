"""Run-length codes of masks, as COCO writes them: column by column, the first run counts zeros.

pycocotools makes and measures the codes. It is imported when first used, because `import samlet` must stay fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from samlet.errors import DataError
from samlet.opencv import cv2

MAX_CHARACTERS = 7  # of one number: 35 bits, more than any run needs
_LARGEST_PX = 1_000_000_000  # of a mask
# pycocotools walks along every side of a polygon in fifths of a pixel and takes 100 bytes for each pixel on the way.
MAX_OUTLINE_PX = 2_000_000
_FAR = 10  # a corner may be that many image sides away, and `_NEAR_PX` in any case
_NEAR_PX = 1000
_UNPACKED_PX = 1 << 20


class Rle(TypedDict):
    """A compressed code: `size` is [height, width], `counts` COCO's text form of the run lengths."""

    size: list[int]
    counts: bytes


def encode(mask: NDArray[np.bool_]) -> Rle:
    """Code of a mask [H, W]."""
    coded = _coco().encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in coded["size"]], "counts": coded["counts"]}


def encode_window(mask: NDArray[np.bool_], corner_xy: tuple[int, int], size_hw: tuple[int, int]) -> Rle:
    """Code of a mask of `size_hw` that is `mask` [h, w] from `corner_xy` on and empty elsewhere.

    The time goes with the window, not with the image.
    """
    return from_places(_places(mask, corner_xy, size_hw[0]), size_hw)


def encode_bands(bands: Iterable[NDArray[np.bool_]], corner_xy: tuple[int, int], size_hw: tuple[int, int]) -> Rle:
    """`encode_window` of a mask that comes some rows at a time, [rows, w]; there must be one.

    Rows wait as eight pixels to a byte, and columns are unpacked a few at a time: a mask of 100 megapixels takes 13 MB.
    """
    width, waiting = 0, []
    for band in bands:
        width = band.shape[1]
        waiting.append(np.packbits(band, axis=1))
    packed = np.concatenate(waiting)
    left, top = corner_xy
    step = max(1, _UNPACKED_PX // max(8 * len(packed), 1))
    places = [
        _places(
            np.unpackbits(packed[:, start : start + step], axis=1)[:, : width - 8 * start].view(np.bool_),
            (left + 8 * start, top),
            size_hw[0],
        )
        for start in range(0, packed.shape[1], step)
    ]
    return from_places(np.concatenate(places) if places else np.zeros(0, np.int64), size_hw)


def _places(mask: NDArray[np.bool_], corner_xy: tuple[int, int], height: int) -> NDArray[np.int64]:
    """Where runs start and end in turn, in pixels of the image column by column; no run leaves its column."""
    left, top = corner_xy
    columns = np.zeros((mask.shape[1], mask.shape[0] + 2), bool)
    if mask.size:
        # in blocks: five times faster than NumPy's
        columns[:, 1:-1] = cv2.transpose(np.ascontiguousarray(mask).view(np.uint8)).view(bool)
    flat = columns.ravel()
    where = np.flatnonzero(flat[1:] != flat[:-1])
    column, row = np.divmod(where, columns.shape[1])
    return (left + column) * height + top + row


def from_places(places: NDArray[np.int64], size_hw: tuple[int, int]) -> Rle:
    """Code of the runs that start and end at `places` in turn, in pixels column by column; no two overlap."""
    # A run that ends with its column goes on where the next column begins.
    joints = 1 + 2 * np.flatnonzero(places[1:-1:2] == places[2::2])
    places = np.delete(places, np.concatenate([joints, joints + 1]))
    counts = np.diff(places, prepend=0, append=size_hw[0] * size_hw[1]).tolist()
    return from_counts(counts if counts[-1] or len(counts) == 1 else counts[:-1], size_hw)


def runs_of(rle: Rle) -> NDArray[np.int64]:
    """The runs of ones: start and end (exclusive) in pixels column by column, int64 [R, 2]. DataError if damaged."""
    edges = np.cumsum(np.asarray(to_counts(rle), np.int64))
    return edges[: len(edges) // 2 * 2].reshape(-1, 2)


def within_columns(runs: NDArray[np.int64], height: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends of runs [R, 2] of a mask of that height, cut where they leave their column; empty ones go."""
    starts, ends = runs[runs[:, 1] > runs[:, 0]].T
    first = starts // height
    columns = (ends - 1) // height - first + 1
    run = np.repeat(np.arange(len(starts)), columns)
    column = first[run] + np.arange(len(run)) - np.repeat(np.cumsum(columns) - columns, columns)
    return np.maximum(starts[run], column * height), np.minimum(ends[run], (column + 1) * height)


def decode(rle: Rle) -> NDArray[np.bool_]:
    """The mask [H, W] of a code. Raises DataError if the code is damaged."""
    # Not pycocotools' own, which trusts the code and warns about NumPy 2.
    height, width = rle["size"]
    runs = _parse_counts(rle["counts"])
    _check_runs(runs, height, width)
    columns = np.repeat(np.arange(runs.size) % 2 == 1, runs).reshape(width, height)
    return np.ascontiguousarray(columns.T)


def area(rle: Rle) -> int:
    """Number of pixels (px²) inside the mask."""
    return int(_coco().area(rle))


def union(rles: Sequence[Rle]) -> Rle:
    """The pixels of any of the masks, which are one at least."""
    merged = _coco().merge(list(rles))
    return {"size": [int(side) for side in merged["size"]], "counts": merged["counts"]}


def difference(first: Rle, second: Rle) -> Rle:
    """The pixels of the first mask that are not in the second."""
    counts = to_counts(second)
    height, width = second["size"]
    outside = from_counts(counts[1:] if counts[0] == 0 and len(counts) > 1 else [0, *counts], (height, width))
    merged = _coco().merge([first, outside], intersect=1)
    return {"size": [height, width], "counts": merged["counts"]}


def union_area(rles: Sequence[Rle]) -> int:
    """Number of pixels inside at least one of the masks."""
    return area(_coco().merge(list(rles))) if rles else 0


def to_box(rle: Rle) -> tuple[int, int, int, int]:
    """Tight box XYWH in pixels; one pixel has width 1 and height 1, an empty mask gives (0, 0, 0, 0)."""
    left, top, width, height = (int(value) for value in _coco().toBbox(rle))
    return left, top, width, height


def iou_matrix(first: Sequence[Rle], second: Sequence[Rle]) -> NDArray[np.float64]:
    """Intersection over union [A, B] of masks of one size, without decoding them."""
    if not first or not second:
        return np.zeros((len(first), len(second)))
    return np.asarray(_coco().iou(list(first), list(second), [0] * len(second)), np.float64)


def containment_matrix(first: Sequence[Rle], second: Sequence[Rle]) -> NDArray[np.float64]:
    """The share of each first mask that lies inside each second one, [A, B], without decoding them."""
    if not first or not second:
        return np.zeros((len(first), len(second)))
    # COCO scores a detection against a crowd by the share of the detection inside.
    return np.asarray(_coco().iou(list(first), list(second), [1] * len(second)), np.float64)


def to_counts(rle: Rle) -> list[int]:
    """The run lengths themselves; the first counts zeros and may be 0."""
    return _parse_counts(rle["counts"]).tolist()


def from_counts(counts: Sequence[int], size_hw: tuple[int, int]) -> Rle:
    """Code of run lengths (zeros first, column by column) of a mask of `size_hw`. Raises DataError."""
    height, width = size_hw
    try:
        runs = np.array(counts, np.int64)
    except (TypeError, ValueError, OverflowError):
        raise DataError("The run lengths of a segmentation must be whole numbers.") from None
    _check_runs(runs, height, width)
    coded = _coco().frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return {"size": [height, width], "counts": coded["counts"]}


def from_polygons(parts: Sequence[Sequence[float]], size_hw: tuple[int, int]) -> Rle:
    """Code of the union of polygons [x0, y0, x1, y1, …] in pixels, filled as COCO fills them.

    What lies outside the image is cut off; a part of fewer than three corners encloses nothing. Raises DataError.
    """
    height, width = size_hw
    _check_size(height, width)
    farthest = max(_FAR * max(size_hw), _NEAR_PX)
    corners = [part for part in (_corners(part, farthest) for part in parts) if len(part) >= 6]
    if not corners:
        return from_counts([height * width], size_hw)
    longest = sum(map(len, corners)) * farthest  # half as many corners, and no side longer than twice that
    outline = longest if longest <= MAX_OUTLINE_PX else sum(map(_outline_px, corners))
    if outline > MAX_OUTLINE_PX:
        raise DataError(
            f"A polygon's outline is {outline:,.0f} pixels long, more than the {MAX_OUTLINE_PX:,} that are read: the "
            "record is damaged."
        )
    merged = _coco().merge(_coco().frPyObjects(corners, height, width))
    return {"size": [height, width], "counts": merged["counts"]}


def from_json(segmentation: Mapping[str, Any]) -> Rle:
    """Code from a record's `segmentation`, compressed (text) or not (list of runs), checked. Raises DataError."""
    try:
        height, width = (int(side) for side in segmentation["size"])
        counts = segmentation["counts"]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise DataError("A segmentation must be a run-length code with the keys 'size' and 'counts'.") from None
    if isinstance(counts, (list, tuple)):
        return from_counts(counts, (height, width))
    if not isinstance(counts, (str, bytes)):
        raise DataError(f"The counts of a segmentation must be text or a list, not {type(counts).__name__}.")
    try:
        text = counts.encode("ascii") if isinstance(counts, str) else counts
    except UnicodeEncodeError:
        raise DataError("A run-length code holds foreign characters or breaks off: the record is damaged.") from None
    _check_runs(_parse_counts(text), height, width)
    return {"size": [height, width], "counts": text}


def _corners(part: Any, farthest: float) -> list[float]:
    try:
        numbers = np.array(part, np.float64)
    except (TypeError, ValueError):
        raise DataError("A polygon must be a list of numbers [x0, y0, x1, y1, …].") from None
    if numbers.ndim != 1 or numbers.size % 2:
        raise DataError(_misshapen(numbers))
    if not (np.abs(numbers) <= farthest).all():  # catches NaN too
        raise DataError(f"A polygon has a corner that is no number or more than {farthest:,} pixels away.")
    return numbers.tolist()


def _misshapen(numbers: NDArray[np.float64]) -> str:
    if numbers.ndim == 0:
        return (
            "A segmentation must be a list of polygons, [[x0, y0, x1, y1, …], …]; this is one flat list: put it in []."
        )
    if numbers.ndim == 2 and numbers.shape[1] == 2:
        return "A polygon must be a flat list [x0, y0, x1, y1, …], not a list of pairs [x, y]."
    return "A polygon must be a flat list of x and y in turn, so an even count of numbers."


def _outline_px(corners: list[float]) -> float:
    points = np.array(corners).reshape(-1, 2)
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum())


def _check_size(height: int, width: int) -> None:
    if min(height, width) < 0 or height * width > _LARGEST_PX:
        raise DataError(f"A mask of {width} x {height} pixels is none that can be: the record is damaged.")


def _coco() -> Any:
    # Any, not the stub's types: those allow text where samlet's codes hold bytes.
    from pycocotools import mask

    return mask


def _check_runs(runs: NDArray[np.int64], height: int, width: int) -> None:
    """Refuse what does not fill the mask: pycocotools trusts its input and may read or write beyond the array."""
    _check_size(height, width)
    # The longest run first: a sum of absurd ones could wrap around to the right number.
    longest = runs.max(initial=0)
    if runs.ndim != 1 or runs.min(initial=0) < 0 or longest > height * width:
        raise DataError(f"A run-length code is not one of {width} x {height} pixels: the record is damaged.")
    if runs.sum() != height * width:
        raise DataError(f"A run-length code fills {runs.sum()} of {width} x {height} pixels: the record is damaged.")


def _parse_counts(text: bytes) -> NDArray[np.int64]:
    """Run lengths of COCO's text form; DataError if it is damaged.

    Six bits a character (from 48): five of value, one that says "more follows". Lowest bits first; the last
    character's top value bit is the sign. From the fourth on, a number is the difference to the one two before.
    """
    symbols = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if symbols.size == 0 or symbols.min() < 0 or symbols.max() > 63 or symbols[-1] & 32:
        raise DataError("A run-length code holds foreign characters or breaks off: the record is damaged.")
    last = np.flatnonzero((symbols & 32) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    position = np.arange(symbols.size) - np.repeat(first, last - first + 1)
    if position.max() >= MAX_CHARACTERS:
        raise DataError("A run-length code holds a number of absurd length: the record is damaged.")
    runs = np.add.reduceat((symbols & 31) << (5 * position), first)
    runs -= ((symbols[last] >> 4) & 1) << (5 * (position[last] + 1))
    runs[1::2] = runs[1::2].cumsum()
    runs[2::2] = runs[2::2].cumsum()
    return runs
