"""The masks of one image as a sequence, and what people do with them: arrays, records, files, pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from samlet.errors import DataError, InputError
from samlet.extras import import_with_extra
from samlet.images import ImageSource
from samlet.masks import pictures, saving
from samlet.masks.mask import Mask
from samlet.masks.records import from_annotation, to_annotation

OBJECT = "object"
"""The name of the one category of masks that nobody has named."""


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
        return {"image": image, "annotations": [to_annotation(index, mask) for index, mask in enumerate(self._masks)]}

    def to_coco(self, file_name: str, image_id: int = 0, category_id: int = 1) -> dict[str, Any]:
        """A COCO file of this one image, ready for `json.dump`; each mask an annotation of one category, "object"."""
        height, width = self.size_hw
        return {
            "images": [{"id": image_id, "width": width, "height": height, "file_name": file_name}],
            "annotations": [mask.to_coco(image_id, category_id, number) for number, mask in enumerate(self._masks, 1)],
            "categories": [{"id": category_id, "name": OBJECT}],
        }

    def to_supervision(self) -> Any:
        """The masks as `supervision.Detections`: boxes, boolean arrays, predicted IoU as confidence."""
        supervision = import_with_extra("supervision", "supervision", "to_supervision()")
        boxes_xywh = np.array([mask.box_xywh for mask in self._masks], np.float32).reshape(-1, 4)
        boxes_xyxy = np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)
        confidence = None if np.isnan(self.iou).any() else self.iou
        return supervision.Detections(xyxy=boxes_xyxy, mask=self.to_array(), confidence=confidence)

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the masks to a file or a folder; OutputError if that is impossible.

        Files that samlet wrote are replaced, others are an OutputError unless `overwrite`.

        `out.json`: an SA-1B record. `out.png`: 0 and 255 for one mask, for several a 16-bit map in which mask n is
        n + 1, the smallest on top. A folder (no suffix): masks.json and a PNG for each mask, 0.png, 1.png, …
        """
        saving.save(self, Path(path), overwrite)

    def plot(self, image: ImageSource | None = None, ax: Any = None) -> Any:
        """Draw the masks, over their image if it is given, with matplotlib; returns the axes."""
        return pictures.plot(self, image, ax)

    def show(self, image: ImageSource | None = None) -> None:
        """Open a window (in a notebook: show a picture) with the masks, over their image if it is given."""
        pictures.show(self, image)

    def _repr_png_(self) -> bytes:
        return pictures.thumbnail(self)

    def _repr_html_(self) -> str:
        return pictures.html(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> MaskSet:
        """Masks of an SA-1B record; only `segmentation` is required of an annotation. Raises DataError."""
        try:
            size_hw = int(record["image"]["height"]), int(record["image"]["width"])
            masks = [from_annotation(annotation, size_hw) for annotation in record["annotations"]]
        except KeyError as error:
            raise DataError(f"This is not an SA-1B record: the key {error} is missing.") from error
        except (TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise DataError(f"This is not an SA-1B record: {error}.") from error
        return cls(masks, size_hw)
