"""One mask and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.geometry import outlines
from samlet.geometry import rle as run_lengths
from samlet.geometry.outlines import Polygon
from samlet.geometry.rle import Rle


@dataclass(frozen=True, repr=False)
class Mask:
    """One object's mask and what is known of it; None is "not known".

    `iou` is the model's own estimate, `stability` the IoU of the mask at a higher and a lower threshold, `point_xy`
    the point that asked for it (image pixels), `crop_box_xywh` the crop it was found in, `prompt_index` the row of
    the Prompts it answers.
    """

    rle: Rle
    iou: float | None = None
    stability: float | None = None
    point_xy: tuple[float, float] | None = None
    crop_box_xywh: tuple[int, int, int, int] | None = None
    prompt_index: int = 0

    def __hash__(self) -> int:
        return hash((*self.rle["size"], self.rle["counts"], self.prompt_index))

    def __repr__(self) -> str:
        height, width = self.size_hw
        x, y, box_width, box_height = self.box_xywh
        iou = "" if self.iou is None else f", iou {self.iou:.3f}"
        return f"Mask({self.area_px:,} px in {x},{y},{x + box_width},{y + box_height} of {width} x {height}{iou})"

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) of the image."""
        height, width = self.rle["size"]
        return height, width

    @property
    def area_px(self) -> int:
        """Number of pixels inside the mask."""
        return run_lengths.area(self.rle)

    @property
    def box_xywh(self) -> tuple[int, int, int, int]:
        """Tight box in pixels as COCO counts: one pixel is 1 wide (segment_anything's own records say 0)."""
        return run_lengths.to_box(self.rle)

    def to_array(self) -> NDArray[np.bool_]:
        """The mask as bool [H, W]."""
        return run_lengths.decode(self.rle)

    def polygons(self, tolerance_px: float = 1.0) -> list[Polygon]:
        """Outlines in image pixels: for each connected part [outer ring, hole, …], rings [K, 2] (x, y).

        The largest part comes first. `tolerance_px` is how far a left-out corner may be from the outline; 0 follows the
        edges of pixels, and filling it gives the mask again.
        """
        return outlines.trace(self.to_array(), tolerance_px)

    def to_coco(self, image_id: int = 0, category_id: int = 1, annotation_id: int = 1) -> dict[str, Any]:
        """An entry of `annotations` in a COCO file; the mask as run-length code, so nothing is lost."""
        annotation: dict[str, Any] = {
            "id": annotation_id,
            "image_id": image_id,
            "category_id": category_id,
            "segmentation": {"size": list(self.rle["size"]), "counts": self.rle["counts"].decode()},
            "area": self.area_px,
            "bbox": list(self.box_xywh),
            "iscrowd": 0,
        }
        return annotation if self.iou is None else annotation | {"score": float(self.iou)}
