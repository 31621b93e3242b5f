"""Masks and prompts drawn on the image they belong to: the overlay picture; arrays as PNG.

Pure functions on arrays; every size follows the image's longest side, so a thumbnail and a poster look alike.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from samlet.errors import OutputError
from samlet.geometry.bands import LabelRows, MaskRows, bands_of
from samlet.opencv import cv2
from samlet.prompts import PointLabel, Prompts

if TYPE_CHECKING:
    from samlet.masks import Mask

Color = tuple[int, int, int]

WHITE: Color = (255, 255, 255)
FOREGROUND_GREEN: Color = (40, 190, 80)
BACKGROUND_RED: Color = (225, 45, 45)
FILL_OPACITY = 0.4
LABEL_OPACITY = 0.5
# Outside of all masks the image is dimmed a little, so that what was chosen stands out on a busy photo too.
DIMMED = 0.8
_DIMMED = (DIMMED * np.arange(256, dtype=np.uint8)).astype(np.uint8)
_SHIFT = 4  # OpenCV takes fixed-point coordinates: 1/16 pixel.


def overlay(image: NDArray[np.uint8], masks: Iterable[Mask], prompts: Prompts | None = None) -> NDArray[np.uint8]:
    """Draw masks and prompt marks on a copy of an image, uint8 RGB [H, W, 3].

    A mask is filled with a translucent color of its own and outlined; smaller masks lie on top of larger ones. Points
    are discs with a white ring, green for foreground and red for background; boxes are white-edged frames.
    """
    numbered = sorted(enumerate(masks), key=lambda item: -item[1].area_px)
    layers = [(MaskRows.of(mask.rle), mask_color(number)) for number, mask in numbered]
    canvas = _fill(image, layers)
    unit = max(image.shape[:2]) / 1000
    for mask, color in layers:
        _outline(canvas, mask, color, unit)
    if prompts is not None:
        _draw_boxes(canvas, prompts, unit)
        _draw_points(canvas, prompts, unit)
    return canvas


def overlay_labels(image: NDArray[np.uint8], labels: LabelRows) -> Iterator[NDArray[np.uint8]]:
    """Draw a label map on a copy of an image uint8 RGB [H, W, 3], a band of rows at a time: uint8 RGB [h, W, 3].

    Every mask is tinted with a color of its own inside a thin light outline. Memory does not grow with their number,
    nor with the image.
    """
    height = len(image)
    colors = np.array([(0, 0, 0), *(mask_color(number) for number in range(labels.count))], np.uint8)
    width = _pixels(1.5 * max(image.shape[:2]) / 1000)
    for top, bottom in bands_of(labels.size_hw):
        first, last = max(top - width - 1, 0), min(bottom + width + 1, height)  # what outlines can reach
        around = labels.rows(first, last)
        inner = slice(top - first, bottom - first)
        yield _tinted(image[top:bottom], around[inner], colors, _edges(around, width)[inner])


def _tinted(
    image: NDArray[np.uint8], labels: NDArray[Any], colors: NDArray[np.uint8], edges: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    tinted = cv2.addWeighted(image, 1 - LABEL_OPACITY, colors[labels], LABEL_OPACITY, 0)
    canvas = np.where(labels[..., None] > 0, tinted, _DIMMED[image])
    canvas[edges] = (0.35 * canvas[edges] + 0.65 * 255).astype(np.uint8)
    return canvas


def _edges(labels: NDArray[Any], width: int) -> NDArray[np.bool_]:
    """Where labels change, `width` pixels wide."""
    edges = np.zeros(labels.shape, np.uint8)
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edges[1:] |= labels[1:] != labels[:-1]
    return cv2.dilate(edges, np.ones((width, width), np.uint8)).view(np.bool_)


def png(pixels: NDArray[Any]) -> bytes:
    """Encode gray [H, W] or RGB [H, W, 3], values 0..255, as 8-bit PNG."""
    levels = pixels.astype(np.uint8)
    return _encoded(levels if levels.ndim == 2 else cv2.cvtColor(levels, cv2.COLOR_RGB2BGR))


def mask_color(number: int) -> Color:
    """Return the RGB color of the mask with that number, counted from 0; neighbors differ clearly."""
    # Steps of the golden ratio around the color circle never come close to a hue used shortly before.
    hue = (0.58 + 0.618034 * number) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def _fill(image: NDArray[np.uint8], layers: Sequence[tuple[MaskRows, Color]]) -> NDArray[np.uint8]:
    """A copy of the image, dimmed, with the masks on it, a band of rows at a time."""
    tints = [_tint(color) for _, color in layers]
    canvas = image.copy()
    if all(mask.box_xyxy[2] == 0 for mask, _ in layers):  # nothing stands out
        return canvas
    for top, bottom in bands_of((image.shape[0], image.shape[1])):
        np.take(_DIMMED, image[top:bottom], out=canvas[top:bottom])
        for (mask, _), tint in zip(layers, tints, strict=True):
            left, first, right, last = mask.box_xyxy
            start, stop = max(first, top), min(last, bottom)
            if start < stop:
                inside = mask.rows(start, stop)
                canvas[start:stop, left:right][inside] = tint[image[start:stop, left:right][inside], (0, 1, 2)]
    return canvas


def _tint(color: Color) -> NDArray[np.uint8]:
    """What becomes of each value of each channel under a color: uint8 [256, 3]."""
    tint = FILL_OPACITY * np.array(color, dtype=np.float32)
    return ((1 - FILL_OPACITY) * np.arange(256, dtype=np.uint8)[:, None] + tint).astype(np.uint8)


def _outline(canvas: NDArray[np.uint8], mask: MaskRows, color: Color, unit: float) -> None:
    area = mask.window().view(np.uint8)
    if not area.size:
        return
    contours, _ = cv2.findContours(area, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=mask.box_xyxy[:2])
    width = max(2, _pixels(2.4 * unit))
    cv2.drawContours(canvas, contours, -1, WHITE, width + _pixels(1.4 * unit), cv2.LINE_AA)
    cv2.drawContours(canvas, contours, -1, color, width, cv2.LINE_AA)


def _draw_boxes(canvas: NDArray[np.uint8], prompts: Prompts, unit: float) -> None:
    for points_xy, labels in zip(prompts.points_xy, prompts.labels, strict=True):
        top_left = points_xy[labels == PointLabel.BOX_TOP_LEFT]
        bottom_right = points_xy[labels == PointLabel.BOX_BOTTOM_RIGHT]
        for first, second in zip(top_left, bottom_right, strict=True):
            corners = _fixed(first), _fixed(second)
            cv2.rectangle(canvas, *corners, WHITE, _pixels(4.5 * unit), cv2.LINE_AA, _SHIFT)
            cv2.rectangle(canvas, *corners, FOREGROUND_GREEN, _pixels(2 * unit), cv2.LINE_AA, _SHIFT)


def _draw_points(canvas: NDArray[np.uint8], prompts: Prompts, unit: float) -> None:
    radius = max(4.0, 8 * unit)
    for label, color in ((PointLabel.FOREGROUND, FOREGROUND_GREEN), (PointLabel.BACKGROUND, BACKGROUND_RED)):
        # Points that belong to every box are repeated in each row; one disc is enough.
        for point_xy in np.unique(prompts.points_xy[prompts.labels == label], axis=0):
            center = _fixed(point_xy)
            cv2.circle(
                canvas, center, round((radius + max(2.0, 2.5 * unit)) * 2**_SHIFT), WHITE, -1, cv2.LINE_AA, _SHIFT
            )
            cv2.circle(canvas, center, round(radius * 2**_SHIFT), color, -1, cv2.LINE_AA, _SHIFT)


def _fixed(point_xy: NDArray[np.float64]) -> tuple[int, int]:
    x, y = np.rint(point_xy * 2**_SHIFT).astype(int).tolist()
    return x, y


def _pixels(width: float) -> int:
    return max(1, round(width))


def _encoded(levels: NDArray[Any]) -> bytes:
    encoded, content = cv2.imencode(".png", levels)
    if not encoded:
        raise OutputError(f"An array of shape {levels.shape} cannot be written as PNG.")
    return content.tobytes()
