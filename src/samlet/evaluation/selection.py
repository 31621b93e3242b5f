"""Which images and which of their masks are measured, fixed before the first image is read."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.data import Annotation, Sample
from samlet.data.box_format import check_box_format
from samlet.errors import DataError, InputError
from samlet.geometry.rle import area

_NO_AREA = "area under 1 px"
_NO_PIXEL = "mask without a pixel"
_NO_BOX = "box empty or outside the image"
_CROWD = "crowd"


@dataclass(frozen=True)
class Scope:
    """How much of the data is asked for. `data` are the paths that were opened; `detections` what a detector found.

    `limit` and `max_masks_per_image` are at least 1; None is all.
    """

    data: tuple[Path, ...] = ()
    detections: Path | None = None
    limit: int | None = None
    max_masks_per_image: int | None = None
    crowds: bool = True


@dataclass(frozen=True)
class Selection:
    """What is measured: the samples, how many masks were left out by reason, and the truth of a protocol that has its
    own instead of the samples' annotations.
    """

    samples: list[Sample]
    left_out: Mapping[str, int] = field(default_factory=dict)
    truth: Any = None


def choose_annotated(samples: Sequence[Sample], scope: Scope) -> Selection:
    """The annotated samples of the scope with the masks that count; errors as `select_samples`."""
    chosen = select_samples(samples, scope.limit, scope.max_masks_per_image, scope.crowds)
    return Selection(chosen, left_out(samples, scope.crowds))


def select_samples(
    samples: Sequence[Sample],
    limit: int | None = None,
    max_masks_per_image: int | None = None,
    crowds: bool = True,
) -> list[Sample]:
    """The annotated samples with the masks that count; at most `limit` images, spread evenly over the list.

    A mask counts if it has a pixel, an area of at least 1 and a box that meets the image; crowds count for
    EfficientViT-SAM and do not for EdgeSAM. `max_masks_per_image` draws that many, always the same ones.
    Raises DataError if nothing is left or the boxes are in another format.
    """
    _check_at_least_1("--max-masks-per-image", max_masks_per_image)
    boxes = [(annotation.box_xywh, sample.size_hw) for sample in samples for annotation in sample.annotations]
    check_box_format([box for box, _ in boxes], [size_hw for _, size_hw in boxes], "The annotations")
    counted = [replace(sample, annotations=_countable(sample, crowds)) for sample in samples]
    counted = [sample for sample in counted if sample.annotations]
    if not counted:
        raise DataError(f"None of the {len(samples)} images has a mask to measure against; give annotated data.")
    return [replace(sample, annotations=_drawn(sample, max_masks_per_image)) for sample in evenly(counted, limit)]


def evenly(samples: Sequence[Sample], limit: int | None) -> list[Sample]:
    """At most `limit` samples, spread evenly over the list; InputError below 1."""
    _check_at_least_1("--limit", limit)
    if limit is None or limit >= len(samples):
        return list(samples)
    return [samples[index * len(samples) // limit] for index in range(limit)]


def left_out(samples: Sequence[Sample], crowds: bool = True) -> dict[str, int]:
    """How many masks `select_samples` does not count, for each reason; the first that holds is the one."""
    reasons = [_reason(annotation, sample.size_hw, crowds) for sample in samples for annotation in sample.annotations]
    return {reason: reasons.count(reason) for reason in (_CROWD, _NO_AREA, _NO_PIXEL, _NO_BOX)}


def annotation_of(sample: Sample, annotation_id: int | str) -> Annotation:
    """The sample's annotation of that id."""
    return next(annotation for annotation in sample.annotations if annotation.id == annotation_id)


def box_in_image(annotation: Annotation, size_hw: tuple[int, int]) -> NDArray[np.float64]:
    """The annotation's box as XYXY pixels [4], cut off at the image border; empty if it lies outside."""
    x, y, width, height = annotation.box_xywh
    far_xy = np.array([size_hw[1], size_hw[0]] * 2)
    return np.clip([x, y, x + width, y + height], 0, far_xy)


def hash_of(samples: Sequence[Sample]) -> str:
    """sha256 over names, sizes, annotation ids, areas and detections: with one hash two reports measured the same."""
    digest = hashlib.sha256()
    for sample in samples:
        masks = [(annotation.id, annotation.area_px) for annotation in sample.annotations]
        facts = [sample.name, sample.source, sample.size_hw, masks]
        if sample.detections:
            facts.append([(found.category_id, found.score, found.box_xywh) for found in sample.detections])
        digest.update(json.dumps([*facts, *sample.facts]).encode())
    return digest.hexdigest()


def _check_at_least_1(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise InputError(f"{name} is {value}; it must be at least 1.")


def _countable(sample: Sample, crowds: bool) -> tuple[Annotation, ...]:
    return tuple(annotation for annotation in sample.annotations if not _reason(annotation, sample.size_hw, crowds))


def _reason(annotation: Annotation, size_hw: tuple[int, int], crowds: bool) -> str | None:
    """Why a mask does not count, or None."""
    if annotation.crowd and not crowds:
        return _CROWD
    if annotation.area_px < 1:
        return _NO_AREA
    if area(annotation.rle) < 1:
        return _NO_PIXEL
    left, top, right, bottom = box_in_image(annotation, size_hw)
    return None if left < right and top < bottom else _NO_BOX


def _drawn(sample: Sample, most: int | None) -> tuple[Annotation, ...]:
    if most is None or len(sample.annotations) <= most:
        return sample.annotations
    # Seeded by the name, so that a run split over processes or resumed draws the same masks.
    generator = np.random.default_rng(zlib.crc32(sample.name.encode()))
    chosen = sorted(generator.choice(len(sample.annotations), most, replace=False))
    return tuple(sample.annotations[index] for index in chosen)
