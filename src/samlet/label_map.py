"""A label map: the class of each pixel of an image, its colors, its areas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.classes import ClassList
from samlet.errors import InputError


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
