"""Everything mode: a grid of clicks, and filters that leave one mask for each thing in the image.

The rules and their order are those of segment_anything's SamAutomaticMaskGenerator, in three scopes: image, crop and
batch. It knows predictors and geometry, not networks. Full-size logits exist for one mask at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Embedding, each_in_image
from samlet.errors import InputError
from samlet.geometry.boxes import boxes_from_masks, near_crop_edge, nms, uncrop_boxes
from samlet.geometry.points import build_layer_grids, crop_boxes, uncrop_points
from samlet.geometry.regions import remove_small_regions, stability_score, uncrop_masks
from samlet.geometry.rle import encode
from samlet.images import ImageSource, read_image
from samlet.masks import Mask, MaskSet
from samlet.predictor import Predictor
from samlet.prompts import Prompts

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of clicks done and their total."""


@dataclass(frozen=True)
class _Crop:
    """A part of the image, xyxy in image pixels, with the clicks to try in it: [K, 2] in crop pixels."""

    box_xyxy: tuple[int, int, int, int]
    image_hw: tuple[int, int]
    points_xy: NDArray[np.float64]

    @property
    def box_xywh(self) -> tuple[int, int, int, int]:
        x0, y0, x1, y1 = self.box_xyxy
        return x0, y0, x1 - x0, y1 - y0


@dataclass(frozen=True)
class _Candidate:
    """A mask that may be in the answer, and its tight box: int64 [4], inclusive corners, image pixels."""

    mask: Mask
    box_xyxy: NDArray[np.int64]


@dataclass(frozen=True)
class MaskGenerator:
    """Segments everything in an image; names, defaults and meaning of the parameters are SAM's.

    Clicks: a grid of `points_per_side`² or one of `point_grids` (one [K, 2] array in 0..1 for each crop layer),
    `points_per_batch` at a time. `crop_n_layers` adds layers of 4, 16, … crops that overlap by `crop_overlap_ratio` of
    the short side, their grids `crop_n_points_downscale_factor`^layer coarser. A mask needs predicted IoU >
    `pred_iou_thresh` and stability >= `stability_score_thresh` (0 switches a test off); `box_nms_thresh` and
    `crop_nms_thresh` are for duplicates; holes and islands under `min_mask_region_area` pixels go.
    """

    predictor: Predictor
    points_per_side: int | None = 32
    points_per_batch: int = 64
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    point_grids: Sequence[NDArray[np.float64]] | None = None
    min_mask_region_area: int = 0

    def __post_init__(self) -> None:
        if (self.points_per_side is None) == (self.point_grids is None):
            raise InputError("Give one of points_per_side and point_grids, and None for the other.")
        if self.point_grids is not None and len(self.point_grids) != self.crop_n_layers + 1:
            raise InputError(
                f"point_grids holds {len(self.point_grids)} grids, but crop_n_layers={self.crop_n_layers} needs "
                f"{self.crop_n_layers + 1}: one for the image and one for each layer."
            )
        for name in ("points_per_side", "points_per_batch", "crop_n_points_downscale_factor"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}: it must be 1 or more.")
        if self.crop_n_layers < 0:
            raise InputError(f"crop_n_layers is {self.crop_n_layers}: it must be 0 or more.")

    def generate(self, image: ImageSource, progress: Progress | None = None) -> MaskSet:
        """All masks found, none if nothing passes; each with `iou`, `stability` (at image size), click and crop.

        Best predicted IoU first; with crops, small crops first; after clean-up, untouched masks first.
        ImageError if the image cannot be read.
        """
        pixels = read_image(image)
        size_hw = (pixels.shape[0], pixels.shape[1])
        crops = self._crops(size_hw)
        advance = _counter(progress, sum(len(crop.points_xy) for crop in crops))
        found = [candidate for crop in crops for candidate in self._segment_crop(pixels, crop, advance)]
        if len(crops) > 1:
            found = _suppress(found, [_small_crop_score(candidate.mask) for candidate in found], self.crop_nms_thresh)
        if self.min_mask_region_area > 0:
            found = self._without_small_regions(found)
        return MaskSet([candidate.mask for candidate in found], size_hw)

    def _crops(self, size_hw: tuple[int, int]) -> list[_Crop]:
        """The image itself, then the crops layer by layer, each with its clicks."""
        grids = self.point_grids
        if grids is None:
            per_side = self.points_per_side or 0
            grids = build_layer_grids(per_side, self.crop_n_layers, self.crop_n_points_downscale_factor)
        crops = []
        for box, layer in zip(*crop_boxes(size_hw, self.crop_n_layers, self.crop_overlap_ratio), strict=True):
            x0, y0, x1, y1 = (int(corner) for corner in box)
            crops.append(_Crop((x0, y0, x1, y1), size_hw, np.asarray(grids[layer]) * (x1 - x0, y1 - y0)))
        return crops

    def _segment_crop(self, image: NDArray[np.uint8], crop: _Crop, advance: Callable[[int], None]) -> list[_Candidate]:
        """The masks of one crop that pass the filters and are not duplicates of one another."""
        x0, y0, x1, y1 = crop.box_xyxy
        embedding = self.predictor.embed(image[y0:y1, x0:x1])
        found: list[_Candidate] = []
        for first in range(0, len(crop.points_xy), self.points_per_batch):
            found += self._segment_batch(embedding, crop, first)
            advance(min(self.points_per_batch, len(crop.points_xy) - first))
        return _suppress(found, [candidate.mask.iou or 0.0 for candidate in found], self.box_nms_thresh)

    def _segment_batch(self, embedding: Embedding, crop: _Crop, first: int) -> Iterator[_Candidate]:
        """The masks that pass the filters, of the crop's clicks from number `first` on."""
        points_xy = crop.points_xy[first : first + self.points_per_batch]
        # Every reading of a click is wanted here, not the one that proposals would choose.
        logits = self.predictor.decode(embedding, Prompts.points(points_xy[:, None]), box_prior=False)
        confident = logits.iou[:, 1:] > (self.pred_iou_thresh if self.pred_iou_thresh > 0 else -np.inf)
        rows, columns = np.nonzero(confident)
        kept = logits.keep(rows, columns + 1)
        for index, image_logits in enumerate(each_in_image(kept, embedding.frame)):
            score = float(stability_score(image_logits, offset=self.stability_score_offset))
            mask = image_logits > 0
            box_xyxy = boxes_from_masks(mask)
            unstable = self.stability_score_thresh > 0 and score < self.stability_score_thresh
            if unstable or near_crop_edge(box_xyxy, crop.box_xyxy, crop.image_hw):
                continue
            x, y = uncrop_points(points_xy[rows[index]], crop.box_xyxy)
            answer = Mask(
                rle=encode(uncrop_masks(mask, crop.box_xyxy, crop.image_hw)),
                iou=float(kept.iou[index, 0]),
                stability=score,
                point_xy=(float(x), float(y)),
                crop_box_xywh=crop.box_xywh,
                prompt_index=first + int(rows[index]),
            )
            yield _Candidate(answer, uncrop_boxes(box_xyxy, crop.box_xyxy))

    def _without_small_regions(self, found: list[_Candidate]) -> list[_Candidate]:
        """Fill small holes, then remove small islands; of duplicates this makes, the untouched one stays."""
        cleaned = [_clean(candidate, self.min_mask_region_area) for candidate in found]
        untouched = [float(new is old) for new, old in zip(cleaned, found, strict=True)]
        return _suppress(cleaned, untouched, max(self.box_nms_thresh, self.crop_nms_thresh))


def _counter(progress: Progress | None, total: int) -> Callable[[int], None]:
    """A function that is told of clicks as they are done, and tells `progress` the sum."""
    done = 0

    def advance(clicks: int) -> None:
        nonlocal done
        done += clicks
        if progress is not None:
            progress(done, total)

    return advance


def _small_crop_score(mask: Mask) -> float:
    """Higher for smaller crops: a thing is drawn better in the crop that shows it larger."""
    assert mask.crop_box_xywh is not None  # every mask of this module has one
    _, _, width, height = mask.crop_box_xywh
    return 1 / (width * height)


def _suppress(found: list[_Candidate], scores: Sequence[float], iou_threshold: float) -> list[_Candidate]:
    """Of candidates whose boxes overlap more than the threshold, the one with the highest score; best score first."""
    boxes_xyxy = np.array([candidate.box_xyxy for candidate in found], np.float32).reshape(-1, 4)
    return [found[index] for index in nms(boxes_xyxy, np.asarray(scores, np.float32), iou_threshold)]


def _clean(candidate: _Candidate, area_px: int) -> _Candidate:
    """The candidate without holes and islands smaller than `area_px`; the same object if it has none."""
    mask, filled = remove_small_regions(candidate.mask.to_array(), area_px, "holes")
    mask, removed = remove_small_regions(mask, area_px, "islands")
    if not (filled or removed):
        return candidate
    return _Candidate(replace(candidate.mask, rle=encode(mask)), boxes_from_masks(mask))
