"""Photos as a browser shows them: the file itself where it is a JPEG, else one made of it; small ones for lists."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from samlet.errors import ImageError
from samlet.images import read_image
from samlet.opencv import cv2
from samlet.reading import reading
from samlet.web.kept import BoundedCache

JPEG = "image/jpeg"
_QUALITY, _SMALL_QUALITY = 93, 85
_SMALL = 512  # of the long side: what lists show
_CACHE_BYTES = 64 << 20
_AT_ONCE = 2  # a photo of 100 megapixels takes 300 MB while it is decoded
_JPEG_START = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Picture:
    """A picture to send: its bytes, their media type, and a mark that changes when the photo does."""

    content: bytes
    media_type: str
    mark: str


class Pictures:
    """Makes pictures of photo files, a few at a time, and keeps the small ones."""

    def __init__(self) -> None:
        self._kept: BoundedCache[Picture] = BoundedCache(_CACHE_BYTES, lambda picture: len(picture.content))
        self._turns = Semaphore(_AT_ONCE)

    def of(self, path: Path, max_side: int | None) -> Picture:
        """The photo, its long side at most `max_side` pixels; ImageError if it cannot be read."""
        with reading(path, "an image", ImageError):
            status = path.stat()
        mark = f'"{status.st_mtime_ns:x}-{status.st_size:x}-{max_side or 0}"'
        kept = self._kept.get(f"{path} {mark}")
        if kept is not None:
            return kept
        with self._turns:
            picture = self._whole(path, mark) if max_side is None else self._smaller(path, max_side, mark)
        if max_side is not None:
            self._kept.put(f"{path} {mark}", picture)
        return picture

    def _whole(self, path: Path, mark: str) -> Picture:
        with reading(path, "an image", ImageError):
            content = path.read_bytes()
        if content.startswith(_JPEG_START):
            return Picture(content, JPEG, mark)
        return Picture(_coded(read_image(path), _QUALITY), JPEG, mark)

    def _smaller(self, path: Path, max_side: int, mark: str) -> Picture:
        pixels = read_image(_draft(path, max_side) or path)
        height, width = pixels.shape[:2]
        scale = max_side / max(height, width)
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        return Picture(_coded(pixels, _SMALL_QUALITY if max_side <= _SMALL else _QUALITY), JPEG, mark)


def _draft(path: Path, max_side: int) -> Image.Image | None:
    """A JPEG decoded at a fraction of its size, which takes a fraction of the time; None for other files."""
    with path.open("rb") as file:
        if file.read(3) != _JPEG_START:
            return None
    with reading(path, "an image", ImageError):
        image = Image.open(path, formats=("JPEG", "MPO"))
        image.draft("RGB", (max_side, max_side))
    return image


def _coded(pixels: NDArray[np.uint8], quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()
