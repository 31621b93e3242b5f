"""Objects cut out of their photo: a PNG of the box of a mask, transparent where the mask is not."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from samlet.errors import DataError
from samlet.geometry.bands import MaskRows
from samlet.geometry.rle import Rle

_FAST = 1  # of zlib's levels: photos hardly get smaller with more


def cutout_png(photo: NDArray[np.uint8], rle: Rle) -> bytes:
    """The bytes of an RGBA PNG of the mask's tight box; `photo` is uint8 RGB [H, W, 3].

    DataError if the mask is empty or of another size than the photo.
    """
    if list(photo.shape[:2]) != list(rle["size"]):
        raise DataError(f"A mask of {rle['size']} rows and columns does not fit a photo of {list(photo.shape[:2])}.")
    rows = MaskRows.of(rle)
    left, top, right, bottom = rows.box_xyxy
    if right <= left:
        raise DataError("An empty mask cannot be cut out of its photo.")
    alpha = rows.window().view(np.uint8) * np.uint8(255)
    picture = np.dstack([photo[top:bottom, left:right], alpha])
    file = io.BytesIO()
    Image.fromarray(picture, "RGBA").save(file, "PNG", compress_level=_FAST)
    return file.getvalue()
