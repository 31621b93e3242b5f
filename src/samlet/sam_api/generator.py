"""Everything mode under segment_anything's name: lists of records instead of a MaskSet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.errors import InputError
from samlet.everything import MaskGenerator
from samlet.geometry.rle import to_counts
from samlet.images import ImageSource
from samlet.masks import Mask
from samlet.predictor import Predictor
from samlet.sam_api.models import Module, predictor_of

OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")


class SamAutomaticMaskGenerator:
    """Everything mode: the parameters, in segment_anything's order, are those of `samlet.MaskGenerator`.

    `output_mode` is the form of `segmentation`: "binary_mask" (bool [H, W]), "uncompressed_rle" (run lengths, column
    by column) or "coco_rle" (text).
    """

    def __init__(
        self,
        model: Predictor | Module,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float | None = None,
        stability_score_thresh: float | None = None,
        stability_score_offset: float = 1.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: Sequence[NDArray[np.float64]] | None = None,
        min_mask_region_area: int = 0,
        output_mode: str = "binary_mask",
    ) -> None:
        if output_mode not in OUTPUT_MODES:
            raise InputError(f'output_mode is "{output_mode}": use one of {", ".join(OUTPUT_MODES)}.')
        self.output_mode = output_mode
        self._generator = MaskGenerator(
            predictor_of(model),
            points_per_side,
            points_per_batch,
            pred_iou_thresh,
            stability_score_thresh,
            stability_score_offset,
            box_nms_thresh,
            crop_n_layers,
            crop_nms_thresh,
            crop_overlap_ratio,
            crop_n_points_downscale_factor,
            point_grids,
            min_mask_region_area,
        )

    def generate(self, image: ImageSource) -> list[dict[str, Any]]:
        """One record for each mask of an RGB image (uint8 [H, W, 3]); an empty list if there are none.

        Keys: segmentation, area (pixels), bbox and crop_box (XYWH; a bbox ends on its last pixel, so one pixel is 0
        wide), predicted_iou, point_coords [[x, y]], stability_score.
        """
        return [self._record(mask) for mask in self._generator.generate(image)]

    def _record(self, mask: Mask) -> dict[str, Any]:
        return {
            "segmentation": self._segmentation(mask),
            "area": mask.area_px,
            "bbox": _inclusive_box_xywh(mask),
            "predicted_iou": mask.iou,
            "point_coords": [list(mask.point_xy or ())],
            "stability_score": mask.stability,
            "crop_box": list(mask.crop_box_xywh or ()),
        }

    def _segmentation(self, mask: Mask) -> NDArray[np.bool_] | dict[str, Any]:
        if self.output_mode == "binary_mask":
            return mask.to_array()
        size = list(mask.rle["size"])
        if self.output_mode == "uncompressed_rle":
            return {"size": size, "counts": to_counts(mask.rle)}
        return {"size": size, "counts": mask.rle["counts"].decode()}


def _inclusive_box_xywh(mask: Mask) -> list[int]:
    """segment_anything's box, whose width is the distance between the first and the last pixel."""
    x, y, width, height = mask.box_xywh
    return [x, y, max(width - 1, 0), max(height - 1, 0)]
