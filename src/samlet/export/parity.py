"""How far one backend is from another on real photographs: embeddings, predicted IoU, logits and masks.

Everything goes through the seam that users go through, so the comparison covers what they get.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Backend, Embedding, MaskLogits, each_in_image
from samlet.geometry.frames import ImageFrame
from samlet.predictor import Predictor
from samlet.prompts import Prompts

if TYPE_CHECKING:
    from samlet.export.precision import Precision  # which needs onnx: masks are compared where it is not

PHOTOS = tuple(sorted((Path(__file__).parent / "photos").glob("*.jpg")))  # public domain, see NOTICE


# From here on a cheaper precision is offered in place of float32: the mean mask IoU with it, and the smallest.
OFFERED_MEAN, OFFERED_LEAST = 0.99, 0.9


@dataclass(frozen=True)
class Tolerance:
    """The largest differences that pass; `mask_iou` is the smallest mean IoU."""

    embedding: float
    iou: float
    logits: float
    mask_iou: float


TOLERANCES: Mapping[Precision, Tolerance] = {
    "float32": Tolerance(embedding=1e-4, iou=1e-4, logits=1e-3, mask_iou=0.999),
    "float16-weights": Tolerance(embedding=0.05, iou=0.02, logits=0.1, mask_iou=0.99),
    "float16": Tolerance(embedding=0.1, iou=0.02, logits=0.1, mask_iou=0.99),
    # Rounding to 8 bits moves single values far; what counts is what is left of the masks.
    "int8": Tolerance(embedding=3.0, iou=0.2, logits=3.0, mask_iou=0.9),
}


@dataclass
class Parity:
    """Differences over all photos and prompts.

    `embedding` and `logits`: largest absolute difference over the standard deviation of the reference; `iou`: largest
    absolute difference; `mask_ious`: the IoU of each pair of masks at image size.
    """

    photos: list[str] = field(default_factory=list)
    embedding: float = 0.0
    iou: float = 0.0
    logits: float = 0.0
    mask_ious: list[float] = field(default_factory=list)

    @property
    def mean_mask_iou(self) -> float:
        """Mean IoU of the masks, 1.0 when they are equal."""
        return float(np.mean(self.mask_ious))

    @property
    def least_mask_iou(self) -> float:
        """The smallest IoU of the masks."""
        return min(self.mask_ious)

    @property
    def near_float32(self) -> bool:
        """Whether the masks are near enough for a cheaper precision to be offered."""
        return self.mean_mask_iou >= OFFERED_MEAN and self.least_mask_iou >= OFFERED_LEAST

    def violations(self, tolerance: Tolerance) -> list[str]:
        """One phrase for each measure that is beyond its tolerance (or not a number)."""
        phrases = [
            f"{name} differs by {getattr(self, name):.2g} where {getattr(tolerance, name):.2g} is allowed"
            for name in ("embedding", "iou", "logits")
            if not getattr(self, name) <= getattr(tolerance, name)
        ]
        if not self.mean_mask_iou >= tolerance.mask_iou:
            phrases.append(f"the mean mask IoU is {self.mean_mask_iou:.4f} where {tolerance.mask_iou} is needed")
        return phrases

    def add_embedding(self, reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> None:
        """Count the embeddings [1, 256, 64, 64] of one photo."""
        self.embedding = _larger(self.embedding, _difference(reference, candidate))

    def add_masks(self, reference: MaskLogits, candidate: MaskLogits, frame: ImageFrame) -> None:
        """Count the candidates of some prompts about one photo."""
        self.iou = _larger(self.iou, float(np.abs(reference.iou - candidate.iou).max()))
        self.logits = _larger(self.logits, _difference(reference.low_res(), candidate.low_res()))
        pairs = zip(each_in_image(reference, frame), each_in_image(candidate, frame), strict=True)
        self.mask_ious += [_mask_iou(ours > 0, theirs > 0) for ours, theirs in pairs]

    def to_json(self, tolerance: Tolerance) -> dict[str, Any]:
        """The content of parity.json."""
        return {
            "photos": self.photos,
            "masks": len(self.mask_ious),
            "embedding_max_difference_in_std": self.embedding,
            "iou_max_difference": self.iou,
            "logits_max_difference_in_std": self.logits,
            "mask_iou_mean": self.mean_mask_iou,
            "mask_iou_min": self.least_mask_iou,
            "tolerance": asdict(tolerance),
        }


def compare(reference: Backend, candidate: Backend, photos: Sequence[Path]) -> Parity:
    """Run both backends from pixels to masks on every photo, each on its own embedding; at least one photo.

    ImageError if a photo cannot be read.
    """
    parity = Parity()
    models = (Predictor(reference), Predictor(candidate))
    for photo in photos:
        embeddings = [model.embed(photo) for model in models]
        parity.photos.append(photo.name)
        parity.add_embedding(*(embedding.features["image_embeddings"] for embedding in embeddings))
        for prompts in trial_prompts(models[0], embeddings[0]):
            answers = [model.decode(each, prompts) for model, each in zip(models, embeddings, strict=True)]
            parity.add_masks(answers[0], answers[1], embeddings[0].frame)
    return parity


def trial_prompts(model: Predictor, embedding: Embedding) -> list[Prompts]:
    """Every kind of prompt: a click alone, nine clicks, three boxes, ragged rows of clicks and boxes, a click with a
    mask hint. The first runs alone as nothing is kept of the image yet, as the last does for its hint.
    """
    height, width = embedding.frame.size_hw
    size = np.array([width, height], np.float64)
    clicks_xy = np.stack(np.meshgrid([0.2, 0.5, 0.8], [0.2, 0.5, 0.8]), axis=-1).reshape(9, 1, 2) * size
    boxes_xyxy = np.array([[0.25, 0.25, 0.75, 0.75], [0.05, 0.1, 0.5, 0.9], [0.4, 0.5, 0.6, 0.7]]) * np.tile(size, 2)
    center = Prompts.points(clicks_xy[4])
    ragged = [
        Prompts.points(clicks_xy[:3, 0], [1, 0, 1]),
        Prompts.boxes(boxes_xyxy[0]),
        Prompts.boxes(boxes_xyxy[0], clicks_xy[4], [0]),
    ]
    hint = model.predict(embedding, center).low_res_logits
    hinted = [] if hint is None else [center.with_mask_hint(hint)]
    return [center, Prompts.points(clicks_xy), Prompts.boxes(boxes_xyxy), Prompts.stack(ragged), *hinted]


def _difference(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """Largest absolute difference, in standard deviations of the reference."""
    return float(np.abs(reference - candidate).max() / max(float(reference.std()), 1e-12))


def _larger(a: float, b: float) -> float:
    """The larger number; not a number if one is not, which `max` would lose."""
    return float(np.maximum(a, b))


def _mask_iou(reference: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks [H, W]; 1 where both are empty."""
    union = np.count_nonzero(reference | candidate)
    return np.count_nonzero(reference & candidate) / union if union else 1.0
