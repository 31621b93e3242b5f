"""A label map: the class of each pixel of an image, its colors, its areas, and what they look like on the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.classes import ClassList
from samlet.drawing import mask_color
from samlet.errors import InputError
from samlet.geometry.bands import bands_of
from samlet.opencv import cv2

OPACITY = 0.55
LEGEND_LINES = 14  # classes in a legend, the largest
_PAPER, _INK = 255, (30, 30, 30)


@dataclass(frozen=True)
class LabelMap:
    """`labels` uint16 [H, W]: the number of each pixel's class among `classes`. InputError for a number beyond them."""

    labels: NDArray[np.uint16]
    classes: ClassList

    def __post_init__(self) -> None:
        if self.labels.ndim != 2 or self.labels.size == 0:
            raise InputError(f"A label map is [H, W] with a pixel at least, not {list(self.labels.shape)}.")
        largest = int(self.labels.max())
        if largest >= len(self.classes):
            raise InputError(f"The label {largest} is none of the {len(self.classes)} classes {self.classes.name}.")

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.labels.shape[0], self.labels.shape[1]

    @property
    def palette(self) -> NDArray[np.uint8]:
        """The color of each class, uint8 RGB [K, 3]: the data set's, or one that differs from its neighbors'."""
        colors = self.classes.colors or tuple(mask_color(number) for number in range(len(self.classes)))
        return np.array(colors, np.uint8)

    def areas_px(self) -> dict[str, int]:
        """Pixels of each class that is in the image, the largest first."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.classes))
        order = np.argsort(-counts, kind="stable")
        return {self.classes.names[i]: int(counts[i]) for i in order.tolist() if counts[i]}

    def to_json(self) -> dict[str, Any]:
        """Size, and per class that is in the image its number, area in pixels and share of the image."""
        height, width = self.size_hw
        numbers = {name: i for i, name in enumerate(self.classes.names)}
        return {
            "size_hw": [height, width],
            "classes": [
                {"label": numbers[name], "class": name, "area_px": area, "share": round(area / (height * width), 6)}
                for name, area in self.areas_px().items()
            ],
        }

    def overlay(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image uint8 RGB [H, W, 3] under the colors of its classes, and a legend on its right: [H, W + legend, 3].

        The legend names the largest classes with their share. InputError for an image of another size.
        """
        if image.shape[:2] != self.size_hw:
            height, width = self.size_hw
            raise InputError(
                f"The label map has {width}x{height} pixels, the image {image.shape[1]}x{image.shape[0]}: give the "
                "image that the map is of."
            )
        legend = self._legend()
        picture = np.empty((image.shape[0], image.shape[1] + legend.shape[1], 3), np.uint8)
        for top, bottom in bands_of(self.size_hw):
            tint = self.palette[self.labels[top:bottom]]
            picture[top:bottom, : image.shape[1]] = cv2.addWeighted(image[top:bottom], 1 - OPACITY, tint, OPACITY, 0)
        picture[:, image.shape[1] :] = legend
        return picture

    def _legend(self) -> NDArray[np.uint8]:
        """A strip of the image's height with a line for each class, as many as there is room for."""
        height, width = self.size_hw
        line = int(np.clip(height / (LEGEND_LINES + 1), 6, max(height, width) / 30 + 6))
        strip = np.full((height, line * 12, 3), _PAPER, np.uint8)
        pixels, numbers = height * width, {name: i for i, name in enumerate(self.classes.names)}
        for row, (name, area) in enumerate(list(self.areas_px().items())[: min(LEGEND_LINES, height // line)]):
            top = row * line
            swatch = self.palette[numbers[name]].tolist()
            cv2.rectangle(strip, (line // 4, top + line // 5), (line, top + line - line // 5), swatch, -1)
            text = f"{name.encode('ascii', 'replace').decode()} {area / pixels:.0%}"  # OpenCV's font has no others
            place = (line + line // 3, top + line - line // 4)
            cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, line / 40, _INK, max(1, line // 24), cv2.LINE_AA)
        return strip
