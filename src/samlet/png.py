"""PNG files written a band of rows at a time, with samlet's mark: memory goes with the band, not with the picture.

OpenCV and Pillow want the whole picture, and hold a second one while they write it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.errors import OutputError
from samlet.geometry.bands import LabelRows, bands_of, mask_bands
from samlet.geometry.rle import Rle

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB, INDEXED = 0, 2, 3
UP = 2  # the filter of every row: its difference to the one above, mostly zeros in masks
FASTEST = 1
ONE_BIT_PX = 100_000_000
"""Of a mask: larger ones would take a quarter of a second each, and half a megabyte."""


def png_chunks(
    bands: Iterable[NDArray[Any]],
    size_hw: tuple[int, int],
    mark: bytes = b"",
    palette: NDArray[np.uint8] | None = None,
) -> Iterator[bytes]:
    """The bytes of a PNG, piece by piece. `bands`: rows [h, W] or RGB [h, W, 3], uint8 or uint16, that add up to H.

    Rows of bool become a PNG of one bit a pixel, black and white.
    `mark`, if any, is the body of a tEXt chunk. `palette` [K, 3]: the colors that the values of uint8 rows stand for.
    """
    height, width = size_hw
    packer = zlib.compressobj(FASTEST)
    above: NDArray[np.uint8] | None = None
    for band in bands:
        if above is None:
            kind = RGB if band.ndim == 3 else GRAY if palette is None else INDEXED
            depth = 1 if band.dtype == np.bool_ else 8 * band.itemsize
            yield SIGNATURE + _chunk(b"IHDR", struct.pack(">2I5B", width, height, depth, kind, 0, 0, 0))
            if mark:
                yield _chunk(b"tEXt", mark)
            if palette is not None:
                yield _chunk(b"PLTE", palette.tobytes())
        filtered, above = _filtered(band, above)
        packed = packer.compress(filtered.data)
        if packed:
            yield _chunk(b"IDAT", packed)
    yield _chunk(b"IDAT", packer.flush()) + _chunk(b"IEND", b"")


def mask_png(rle: Rle, mark: bytes = b"") -> Iterator[bytes]:
    """A mask as PNG, 0 and 255, piece by piece; of more pixels than `ONE_BIT_PX` with one bit a pixel."""
    height, width = rle["size"]
    bands = mask_bands(rle)
    if height * width <= ONE_BIT_PX:
        return png_chunks((band.view(np.uint8) * np.uint8(255) for band in bands), (height, width), mark)
    return png_chunks(bands, (height, width), mark)


def labels_png(labels: LabelRows, mark: bytes = b"") -> Iterator[bytes]:
    """A label map as 16-bit PNG, piece by piece; OutputError if there are too many labels."""
    if labels.count > np.iinfo(np.uint16).max:
        raise OutputError(f"{labels.count} masks are more than a 16-bit label map can number.")
    return png_chunks(labels.bands(), labels.size_hw, mark)


def classes_png(labels: NDArray[np.uint16], palette: NDArray[np.uint8], mark: bytes = b"") -> Iterator[bytes]:
    """A map of classes [H, W] as PNG, piece by piece: its values are the classes, shown in the colors of `palette`.

    More than 256 classes have no colors: that is a 16-bit gray PNG.
    """
    size_hw = (labels.shape[0], labels.shape[1])
    indexed = len(palette) <= 256
    kind = np.uint8 if indexed else np.uint16
    bands = (labels[top:bottom].astype(kind) for top, bottom in bands_of(size_hw))
    return png_chunks(bands, size_hw, mark, palette if indexed else None)


def picture_png(pixels: NDArray[np.uint8], mark: bytes = b"") -> Iterator[bytes]:
    """A picture uint8 RGB [H, W, 3] as PNG, piece by piece."""
    size_hw = (pixels.shape[0], pixels.shape[1])
    return png_chunks((pixels[top:bottom] for top, bottom in bands_of(size_hw)), size_hw, mark)


def _filtered(band: NDArray[Any], above: NDArray[np.uint8] | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The rows of a band as they are packed, and its last row."""
    packed = np.packbits(band, axis=1) if band.dtype == np.bool_ else band
    big_endian = np.ascontiguousarray(packed, packed.dtype.newbyteorder(">"))
    raw = big_endian.view(np.uint8).reshape(len(band), -1)
    rows = np.empty((len(raw), raw.shape[1] + 1), np.uint8)
    rows[:, 0] = UP
    np.subtract(raw[1:], raw[:-1], out=rows[1:, 1:])
    rows[0, 1:] = raw[0] if above is None else raw[0] - above
    return rows, raw[-1].copy()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
