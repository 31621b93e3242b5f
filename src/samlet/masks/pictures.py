"""Masks to look at: a plot, a window, what a notebook shows."""

from __future__ import annotations

import base64
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from samlet.drawing import overlay, png
from samlet.errors import InputError, SamletError
from samlet.images import ImageSource, read_image
from samlet.opencv import cv2

if TYPE_CHECKING:
    from samlet.masks.mask_set import MaskSet

THUMBNAIL_SIDE = 480
MOST_ROWS = 10  # of the table in a notebook
PAPER = 235  # the gray that masks are drawn on where their image is not given


def picture(masks: MaskSet, image: ImageSource | None = None) -> NDArray[np.uint8]:
    """The masks drawn over their image, or over gray: uint8 RGB [H, W, 3]. InputError if the image has another size."""
    if image is None:
        return overlay(np.full((*masks.size_hw, 3), PAPER, np.uint8), masks)
    pixels = read_image(image)
    if pixels.shape[:2] != masks.size_hw:
        (height, width), (mask_height, mask_width) = pixels.shape[:2], masks.size_hw
        raise InputError(
            f"The image is {width} x {height} pixels but the masks are of one of {mask_width} x {mask_height}: "
            "give the image they were made from."
        )
    return overlay(pixels, masks)


def plot(masks: MaskSet, image: ImageSource | None, ax: Any) -> Any:
    """What `MaskSet.plot` says."""
    drawn = picture(masks, image)
    ax = _pyplot().gca() if ax is None else ax
    ax.imshow(drawn)
    ax.set_axis_off()
    return ax


def show(masks: MaskSet, image: ImageSource | None) -> None:
    """What `MaskSet.show` says."""
    plot(masks, image, None)
    _pyplot().show()


def thumbnail(masks: MaskSet) -> bytes:
    """A PNG of the masks, at most `THUMBNAIL_SIDE` pixels wide or high."""
    drawn = picture(masks)
    scale = min(1.0, THUMBNAIL_SIDE / max(drawn.shape[:2]))
    return png(cv2.resize(drawn, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else drawn)


def html(masks: MaskSet) -> str:
    """The thumbnail and a table of the first masks."""
    content = base64.b64encode(thumbnail(masks)).decode()
    rows = "".join(
        f"<tr><td>{number}</td><td>{mask.area_px:,}</td><td>{mask.box_xywh}</td>"
        f"<td>{'–' if mask.iou is None else f'{mask.iou:.3f}'}</td></tr>"
        for number, mask in enumerate(masks[:MOST_ROWS])
    )
    more = f"<p>and {len(masks) - MOST_ROWS} more</p>" if len(masks) > MOST_ROWS else ""
    head = "<tr><th>mask</th><th>area (px)</th><th>box (x, y, width, height)</th><th>predicted IoU</th></tr>"
    return f'<p>{masks!r}</p><img src="data:image/png;base64,{content}"><table>{head}{rows}</table>{more}'


def _pyplot() -> Any:
    try:
        return import_module("matplotlib.pyplot")
    except ModuleNotFoundError as error:
        raise SamletError("Drawing masks in a window needs matplotlib: pip install matplotlib.") from error
