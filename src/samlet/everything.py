"""Everything mode: a grid of clicks, and filters that leave one mask for each thing in the image.

The rules and their order are those of segment_anything's SamAutomaticMaskGenerator, in three scopes: image, crop and
batch. It knows predictors and geometry, not networks. A mask is first judged by its predicted IoU, before it exists,
then by its low-resolution logits; image-size pixels are made where those cannot decide, and for what stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from samlet.ahead import one_ahead
from samlet.backend import Embedding
from samlet.errors import InputError
from samlet.geometry.boxes import near_crop_edge, nms, uncrop_boxes
from samlet.geometry.clean import clean_code
from samlet.geometry.edges import Edges, LogitGrid
from samlet.geometry.overlaps import mask_nms, visible_parts
from samlet.geometry.patches import Patch
from samlet.geometry.points import build_layer_grids, coarse_to_fine, crop_boxes, uncrop_points
from samlet.geometry.rle import Rle, area, encode_bands, to_box
from samlet.geometry.run_regions import remove_small_regions
from samlet.geometry.tally import Tally
from samlet.images import ImageSource, read_image
from samlet.masks import Mask, MaskSet
from samlet.predictor import Predictor
from samlet.prompts import Prompts

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of clicks done and their total."""

# Measured with TinyViT: a click that is decoded holds 2 MB of the decoder's output and its masks, three times 256 x 256
# logits; one of the batch before, which is filtered meanwhile, those logits and a copy: 4 MB, by the pixel of low_res.
BYTES_PER_LOW_RES_PIXEL = 64
# Half of the memory budget is for clicks in flight, half for masks that wait for the end.
SHARE_IN_FLIGHT = 0.5
FAST_STRIDE = 8
# In fast mode a click is not tried where masks of so many others lie: chosen in docs/performance.md.
ENOUGH_CLICKS = 2
# Of a grid of 1,024 a side the clicks alone take hours; layer 6 has 4,096 crops. Thresholds above 1 switch masks off.
_BOUNDS = {
    "points_per_side": (1, 1024),
    "points_per_batch": (1, 65_536),
    "crop_n_points_downscale_factor": (1, 1024),
    "crop_n_layers": (0, 6),
    "crop_overlap_ratio": (0, 1),
    "min_mask_region_area": (0, 10**9),
    "pred_iou_thresh": (-inf, inf),  # what callers of segment_anything pass for "no threshold" has no end
    "stability_score_thresh": (-inf, inf),
    "stability_score_offset": (0, 1000),
    "box_nms_thresh": (0, 10),
    "crop_nms_thresh": (0, 10),
    "mask_nms_thresh": (0, 10),
    "containment_thresh": (0, 10),
}


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
class _Sketch:
    """A mask that passed the filters of its batch: box (inclusive corners, crop pixels), predicted IoU and click.

    Its pixels are made at the end from `patch`; where memory is short it has its `answer` already, code and stability.
    """

    box_xyxy: tuple[int, int, int, int]
    iou: float
    click: int
    patch: Patch | None
    answer: tuple[Rle, float] | None = None


@dataclass(frozen=True)
class _Answers:
    """K masks of one batch: the clicks they answer, predicted IoU, logits [K, L, L]."""

    clicks: NDArray[np.int64]
    iou: NDArray[np.float32]
    low_res: NDArray[np.float32]


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
    `pred_iou_thresh` and stability >= `stability_score_thresh` (0 switches a test off, None is the model's own, which
    for stability may be a `ThingRule`); `box_nms_thresh` and `crop_nms_thresh` are for duplicates; holes and islands
    under `min_mask_region_area` pixels go.

    Beyond SAM's: `memory_budget` (bytes above the model and the image) lowers `points_per_batch`. `fast` tries a coarse
    grid first and leaves out clicks where it found things often enough: fewer masks, see docs/performance.md.
    `mask_nms_thresh` removes duplicates by the masks' own IoU, `containment_thresh` masks of which more than that
    share lies inside a better one; `disjoint` gives each pixel to the smallest mask over it. `clean` removes islands
    and fills holes by their share of the mask and the image (`samlet.geometry.clean`); the part that was clicked stays.
    `edges` moves outlines to where the photo has edges, as `Predictor.segment` does.
    """

    predictor: Predictor
    points_per_side: int | None = 32
    points_per_batch: int = 64
    pred_iou_thresh: float | None = None
    stability_score_thresh: float | None = None
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    point_grids: Sequence[NDArray[np.float64]] | None = None
    min_mask_region_area: int = 0
    memory_budget: int = 512 << 20
    fast: bool = False
    mask_nms_thresh: float | None = None
    containment_thresh: float | None = None
    disjoint: bool = False
    clean: bool = False
    edges: bool = False

    def __post_init__(self) -> None:
        if (self.points_per_side is None) == (self.point_grids is None):
            raise InputError("Give one of points_per_side and point_grids, and None for the other.")
        if self.point_grids is not None and len(self.point_grids) != self.crop_n_layers + 1:
            raise InputError(
                f"point_grids holds {len(self.point_grids)} grids, but crop_n_layers={self.crop_n_layers} needs "
                f"{self.crop_n_layers + 1}: one for the image and one for each layer."
            )
        for grid in () if self.point_grids is None else self.point_grids:
            points = np.asarray(grid, np.float64)
            if points.ndim != 2 or points.shape[1] != 2 or not ((points >= 0) & (points <= 1)).all():
                largest = f", and reaches {points.max():g}" if points.size else ""
                raise InputError(
                    f"A grid of point_grids has the shape {list(points.shape)}{largest}: give [K, 2] (x, y) as shares, "
                    "0 to 1, of the image's width and height, not pixels."
                )
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and low <= value <= high):
                raise InputError(f"{name} is {value}: it must be from {low:,} to {high:,}.")
        if self.memory_budget < self._bytes_per_click / SHARE_IN_FLIGHT:
            raise InputError(
                f"memory_budget is {self.memory_budget} bytes: one click at a time takes {2 * self._bytes_per_click}."
            )
        if self.fast and self.point_grids is not None:
            raise InputError("fast needs the regular grid of points_per_side, not point_grids.")

    @property
    def _least_iou(self) -> float:
        return self.predictor.spec.pred_iou_thresh if self.pred_iou_thresh is None else self.pred_iou_thresh

    def _least_stability(self, iou: float, patch: Patch) -> float:
        """What is asked of a mask: the caller's threshold, or the model's, which may know when to ask for more."""
        spec = self.predictor.spec
        if self.stability_score_thresh is not None:
            return self.stability_score_thresh
        if spec.thing_rule is None:
            return spec.stability_score_thresh
        return spec.thing_rule.least_stability(iou, patch.share)

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
        masks = [candidate.mask for candidate in found]
        masks = self._without_overlap([_without_specks(mask) for mask in masks] if self.clean else masks)
        return MaskSet(masks, size_hw)

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
        pixels = image[y0:y1, x0:x1]
        embedding = self.predictor.embed(pixels)
        tally = Tally.over(embedding.frame.low_res_hw)
        found: list[_Sketch] = []
        waiting_bytes = 0
        for clicks in self._levels(len(crop.points_xy)):
            left = clicks[tally.at(crop.points_xy[clicks], embedding.frame.size_hw) < ENOUGH_CLICKS]
            if len(left) < len(clicks):
                advance(len(clicks) - len(left))
            batches = [left[i : i + self._clicks_per_batch] for i in range(0, len(left), self._clicks_per_batch)]
            answers = one_ahead(lambda batch: self._answers(embedding, crop, batch), batches)
            for batch, answer in zip(batches, answers, strict=True):
                for sketch in self._sketches(embedding, crop, answer):
                    waiting_bytes += sketch.patch.logits.nbytes if sketch.patch else 0
                    short = waiting_bytes > self.memory_budget * (1 - SHARE_IN_FLIGHT)
                    if self.fast and sketch.patch:
                        tally.add(sketch.click, sketch.patch)
                    found.append(
                        replace(sketch, patch=None, answer=self._answer(sketch, pixels, crop)) if short else sketch
                    )
                advance(len(batch))
        boxes_xyxy = np.array([sketch.box_xyxy for sketch in found], np.float32).reshape(-1, 4)
        scores = np.array([sketch.iou for sketch in found], np.float32)
        return [self._finish(found[index], pixels, crop) for index in nms(boxes_xyxy, scores, self.box_nms_thresh)]

    @property
    def _bytes_per_click(self) -> int:
        return BYTES_PER_LOW_RES_PIXEL * self.predictor.spec.image.low_res**2

    @property
    def _clicks_per_batch(self) -> int:
        return min(self.points_per_batch, int(self.memory_budget * SHARE_IN_FLIGHT) // self._bytes_per_click)

    def _levels(self, clicks: int) -> list[NDArray[np.int64]]:
        """The clicks of a crop in the order they are tried; fast mode looks between levels at what was found."""
        return coarse_to_fine(round(clicks**0.5), FAST_STRIDE) if self.fast else [np.arange(clicks)]

    def _answers(self, embedding: Embedding, crop: _Crop, clicks: NDArray[np.int64]) -> _Answers:
        """What the model says of the crop's clicks with these numbers, where its predicted IoU passes."""
        # Every reading of a click is wanted here, not the one that proposals would choose.
        logits = self.predictor.decode(embedding, Prompts.points(crop.points_xy[clicks][:, None]), box_prior=False)
        columns = np.array(self.predictor.spec.multimask)
        confident = logits.iou[:, columns] > (self._least_iou if self._least_iou > 0 else -np.inf)
        rows, places = np.nonzero(confident)
        kept = logits.keep(rows, columns[places])
        return _Answers(clicks[rows], kept.iou[:, 0], kept.low_res()[:, 0])

    def _sketches(self, embedding: Embedding, crop: _Crop, answers: _Answers) -> Iterator[_Sketch]:
        """The masks that pass the other filters."""
        for click, iou, low_res in zip(answers.clicks, answers.iou, answers.low_res, strict=True):
            patch = Patch.cut(low_res, embedding.frame, min(-self.stability_score_offset, 0.0))
            if not self._is_stable(patch, self._least_stability(float(iou), patch)):
                continue
            box_xyxy = patch.image_box()
            if not near_crop_edge(box_xyxy, crop.box_xyxy, crop.image_hw):
                yield _Sketch(box_xyxy, float(iou), int(click), patch)

    def _is_stable(self, patch: Patch, threshold: float) -> bool:
        """Whether a mask's stability at image size passes; image-size pixels are made only if that is not clear."""
        if threshold <= 0:
            return True
        estimate, margin = patch.estimate_stability(self.stability_score_offset)
        if abs(estimate - threshold) > margin:
            return estimate >= threshold
        return patch.stability(self.stability_score_offset) >= threshold

    def _answer(self, sketch: _Sketch, pixels: NDArray[np.uint8], crop: _Crop) -> tuple[Rle, float]:
        """Code at the size of the image, and stability."""
        if sketch.answer is not None:
            return sketch.answer
        patch = sketch.patch
        assert patch is not None  # one of the two is there
        if self.edges:
            moved = self._at_edges(patch, pixels, crop)
            if area(moved):
                return moved, patch.stability(self.stability_score_offset)
        return patch.answer(self.stability_score_offset, crop.box_xyxy[:2], crop.image_hw)

    def _at_edges(self, patch: Patch, pixels: NDArray[np.uint8], crop: _Crop) -> Rle:
        """The mask with its outline where the crop has edges; of something tiny nothing may be left."""
        spec = self.predictor.spec
        edges = Edges(spec.edge_radius, spec.edge_eps)
        window = edges.around(patch)
        logits = patch.sample(window, LogitGrid.over(window.size_hw).size_hw)
        corner_xy = crop.box_xyxy[0] + window.left, crop.box_xyxy[1] + window.top
        return encode_bands(edges.bands(logits, pixels, window), corner_xy, crop.image_hw)

    def _finish(self, sketch: _Sketch, pixels: NDArray[np.uint8], crop: _Crop) -> _Candidate:
        """The mask of a sketch that stays."""
        code, stability = self._answer(sketch, pixels, crop)
        x, y = uncrop_points(crop.points_xy[sketch.click], crop.box_xyxy)
        mask = Mask(
            rle=code,
            iou=sketch.iou,
            stability=stability,
            point_xy=(float(x), float(y)),
            crop_box_xywh=crop.box_xywh,
            prompt_index=sketch.click,
        )
        return _Candidate(mask, uncrop_boxes(np.array(sketch.box_xyxy), crop.box_xyxy))

    def _without_overlap(self, masks: list[Mask]) -> list[Mask]:
        """Mask-level suppression and disjoint masks, where asked for."""
        if self.mask_nms_thresh is not None or self.containment_thresh is not None:
            codes, scores = [mask.rle for mask in masks], [mask.iou or 0.0 for mask in masks]
            thresholds = [1.0 if limit is None else limit for limit in (self.mask_nms_thresh, self.containment_thresh)]
            masks = [masks[index] for index in mask_nms(codes, scores, *thresholds)]
        if not self.disjoint:
            return masks
        parts = zip(masks, visible_parts([mask.rle for mask in masks]), strict=True)
        return [replace(mask, rle=part) for mask, part in parts if area(part)]

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


def _without_specks(mask: Mask) -> Mask:
    """The mask without islands and holes that its click does not ask for; the same object if it has none."""
    cleaned = clean_code(mask.rle, [] if mask.point_xy is None else [mask.point_xy])
    return mask if cleaned is mask.rle else replace(mask, rle=cleaned)


def _clean(candidate: _Candidate, area_px: int) -> _Candidate:
    """The candidate without holes and islands smaller than `area_px`; the same object if it has none."""
    code, filled = remove_small_regions(candidate.mask.rle, area_px, "holes")
    code, removed = remove_small_regions(code, area_px, "islands")
    if not (filled or removed):
        return candidate
    left, top, width, height = to_box(code)
    return _Candidate(replace(candidate.mask, rle=code), np.array([left, top, left + width - 1, top + height - 1]))
