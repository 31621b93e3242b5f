"""Checks a COCO RLE before C code decodes it: pycocotools reads past the end of a truncated string.

Format from the COCO API (``rleToString``): runs column by column, background first; each run is a base-32 number of
5-bit digits, low digit first, offset 48, bit 0x20 = "more digits follow", bit 0x10 of the last digit = sign;
from the fourth run on, the number is the difference to the run two before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.data.sample import Rle
from samlet.errors import DataError

_MAX_DIGITS = 7  # 35 bits: more than any image has pixels


def checked_rle(segmentation: Any, size_hw: tuple[int, int], where: str) -> tuple[Rle, int]:
    """A JSON segmentation (compressed or plain counts) → ``({"size", "counts": bytes}, area in pixels)``.

    Raises DataError, opening with ``where``, unless it is a whole RLE of an image of ``size_hw``.
    """
    if not isinstance(segmentation, dict) or "counts" not in segmentation:
        raise DataError(f"{where}: the segmentation is not a COCO RLE (an object with 'size' and 'counts').")
    size, counts = segmentation.get("size"), segmentation["counts"]
    if size != list(size_hw):
        raise DataError(f"{where}: the RLE is for size {size!r} but the image has {list(size_hw)} (rows, columns).")
    runs = _plain_runs(counts, where) if isinstance(counts, list) else run_lengths(_to_bytes(counts, where), where)
    area_px = size_hw[0] * size_hw[1]
    if (runs < 0).any() or runs.sum() != area_px:
        raise DataError(f"{where}: the RLE is damaged: it covers {runs.sum()} pixels of {area_px}.")
    return {"size": list(size_hw), "counts": _compressed(counts, size_hw)}, int(runs[1::2].sum())


def run_lengths(counts: bytes, where: str = "RLE") -> NDArray[np.int64]:
    """Compressed counts → run lengths int64 ``[R]``, background first; raises DataError for a damaged string."""
    digits = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    more = (digits & 0x20) != 0
    if ((digits < 0) | (digits > 63)).any() or (len(digits) and more[-1]):
        raise DataError(f"{where}: the RLE string is damaged or cut off.")
    starts = np.flatnonzero(np.concatenate([[True], ~more[:-1]])) if len(digits) else np.empty(0, np.int64)
    lengths = np.diff(np.append(starts, len(digits)))
    if (lengths > _MAX_DIGITS).any():
        raise DataError(f"{where}: the RLE string holds a run longer than any image.")
    shifts = 5 * (np.arange(len(digits)) - np.repeat(starts, lengths))
    runs = np.add.reduceat((digits & 0x1F) << shifts, starts) if len(starts) else np.empty(0, np.int64)
    negative = (digits[starts + lengths - 1] & 0x10) != 0
    runs = runs - (negative.astype(np.int64) << (5 * lengths))
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def _plain_runs(counts: list[Any], where: str) -> NDArray[np.int64]:
    if not all(type(run) is int for run in counts):
        raise DataError(f"{where}: the RLE counts are not a list of whole numbers.")
    return np.array(counts, np.int64)


def _to_bytes(counts: Any, where: str) -> bytes:
    if not isinstance(counts, str):
        raise DataError(f"{where}: the RLE counts are {type(counts).__name__}, not text or a list of numbers.")
    return counts.encode("utf-8")


def _compressed(counts: Any, size_hw: tuple[int, int]) -> bytes:
    if isinstance(counts, str):
        return counts.encode("ascii")
    from pycocotools import mask as coco_mask

    return coco_mask.frPyObjects({"size": list(size_hw), "counts": counts}, *size_hw)["counts"]
