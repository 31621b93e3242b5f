"""Masks: what a model answers. Kept as COCO run-length codes, a few kilobytes each, and made arrays on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from samlet.errors import DataError, InputError
from samlet.geometry import rle as run_lengths
from samlet.geometry.rle import Rle


@dataclass(frozen=True)
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


class MaskSet(Sequence[Mask]):
    """The masks of one image of `size_hw` pixels; `low_res_logits` float32 [N, 256, 256] can be fed back as hints."""

    def __init__(
        self,
        masks: Iterable[Mask],
        size_hw: tuple[int, int],
        low_res_logits: NDArray[np.float32] | None = None,
    ) -> None:
        self._masks = tuple(masks)
        self.size_hw = size_hw
        self.low_res_logits = low_res_logits
        for mask in self._masks:
            if mask.size_hw != size_hw:
                raise InputError(f"A mask of {mask.size_hw} pixels does not fit an image of {size_hw} (height, width).")
        if low_res_logits is not None and len(low_res_logits) != len(self._masks):
            raise InputError(f"{len(low_res_logits)} low-res logits do not fit {len(self._masks)} masks.")

    @overload
    def __getitem__(self, index: int) -> Mask: ...

    @overload
    def __getitem__(self, index: slice) -> MaskSet: ...

    def __getitem__(self, index: int | slice) -> Mask | MaskSet:
        if not isinstance(index, slice):
            return self._masks[index]
        logits = None if self.low_res_logits is None else self.low_res_logits[index]
        return MaskSet(self._masks[index], self.size_hw, logits)

    def __len__(self) -> int:
        return len(self._masks)

    def __repr__(self) -> str:
        height, width = self.size_hw
        return f"MaskSet({len(self)} masks of {width} x {height} pixels)"

    @property
    def iou(self) -> NDArray[np.float32]:
        """Predicted IoU [N]; NaN where it is not known."""
        return np.array([np.nan if mask.iou is None else mask.iou for mask in self._masks], np.float32)

    def to_array(self) -> NDArray[np.bool_]:
        """All masks as bool [N, H, W]: N bytes per image pixel."""
        arrays = np.zeros((len(self), *self.size_hw), bool)
        for array, mask in zip(arrays, self._masks, strict=True):
            array[...] = mask.to_array()
        return arrays

    def to_json(self, file_name: str, image_id: int = 0) -> dict[str, Any]:
        """An SA-1B record, ready for `json.dump`; what is not known is left out."""
        height, width = self.size_hw
        image = {"image_id": image_id, "width": width, "height": height, "file_name": file_name}
        return {"image": image, "annotations": [_annotation(index, mask) for index, mask in enumerate(self._masks)]}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> MaskSet:
        """Masks of an SA-1B record; only `segmentation` is required of an annotation. Raises DataError."""
        try:
            size_hw = int(record["image"]["height"]), int(record["image"]["width"])
            masks = [_mask(annotation, size_hw) for annotation in record["annotations"]]
        except KeyError as error:
            raise DataError(f"This is not an SA-1B record: the key {error} is missing.") from error
        except (TypeError, ValueError, IndexError) as error:
            raise DataError(f"This is not an SA-1B record: {error}.") from error
        return cls(masks, size_hw)


def _annotation(index: int, mask: Mask) -> dict[str, Any]:
    annotation: dict[str, Any] = {
        "id": index,
        "segmentation": {"size": list(mask.rle["size"]), "counts": mask.rle["counts"].decode()},
        "bbox": list(mask.box_xywh),
        "area": mask.area_px,
    }
    if mask.iou is not None:
        annotation["predicted_iou"] = float(mask.iou)
    if mask.stability is not None:
        annotation["stability_score"] = float(mask.stability)
    if mask.crop_box_xywh is not None:
        annotation["crop_box"] = list(mask.crop_box_xywh)
    if mask.point_xy is not None:
        annotation["point_coords"] = [list(mask.point_xy)]
    return annotation


def _mask(annotation: Mapping[str, Any], size_hw: tuple[int, int]) -> Mask:
    rle = run_lengths.from_json(annotation["segmentation"])
    if tuple(rle["size"]) != size_hw:
        raise DataError(f"A mask of {rle['size']} pixels does not fit its image of {list(size_hw)} (height, width).")
    crop_box, points = annotation.get("crop_box"), annotation.get("point_coords")
    return Mask(
        rle,
        iou=_optional_float(annotation.get("predicted_iou")),
        stability=_optional_float(annotation.get("stability_score")),
        point_xy=(float(points[0][0]), float(points[0][1])) if points else None,
        crop_box_xywh=None if crop_box is None else _crop_box(crop_box),
    )


def _crop_box(values: Sequence[float]) -> tuple[int, int, int, int]:
    left, top, width, height = (int(value) for value in values)
    return left, top, width, height


def _optional_float(value: Any) -> float | None:
    return None if value is None else float(value)
