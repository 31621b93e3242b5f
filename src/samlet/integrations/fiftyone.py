"""FiftyOne: a model for `apply_model` (`pip install "samlet[fiftyone]"`).

    from samlet.integrations.fiftyone import SamletModel

    dataset.apply_model(SamletModel(), label_field="masks", prompt_field="ground_truth")

`prompt_field` names boxes (Detections) or clicks (Keypoints), which get a mask each; without it everything is found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.everything import MaskGenerator
from samlet.extras import import_with_extra
from samlet.images import read_image
from samlet.loading import load
from samlet.masks import Mask, MaskSet
from samlet.predictor import Predictor
from samlet.prompts import Prompts

_NAME = "samlet.integrations.fiftyone"
_labels = import_with_extra("fiftyone.core.labels", "fiftyone", _NAME)
_models = import_with_extra("fiftyone.core.models", "fiftyone", _NAME)

OBJECT = "object"
"""The label of masks that no prompt names."""


class SamletModel(_models.SamplesMixin, _models.Model):  # type: ignore[misc, name-defined]
    """A model of FiftyOne's; `model` is one that `samlet.load` made, by default the one that ships with samlet.

    `points_per_side`: the grid of everything mode. Images are uint8 [H, W, 3].
    """

    def __init__(self, model: Predictor | None = None, points_per_side: int = 32) -> None:
        super().__init__()
        self._model = load() if model is None else model
        self._generator = MaskGenerator(self._model, points_per_side=points_per_side, clean=True)

    @property
    def media_type(self) -> str:
        """Images, not videos."""
        return "image"

    @property
    def ragged_batches(self) -> bool:
        """Images of a batch may have different sizes."""
        return False

    @property
    def transforms(self) -> None:
        """None: the model prepares images itself."""
        return

    @property
    def preprocess(self) -> bool:
        """False: there is nothing to do before."""
        return False

    @preprocess.setter
    def preprocess(self, value: bool) -> None:
        del value

    def predict(self, arg: NDArray[np.uint8], sample: Any = None) -> Any:
        """Detections with masks: one for each prompt of the sample, in order, or all that is found."""
        photo = read_image(arg)
        field = self.needs_fields.get("prompt_field")
        if field is None:
            masks = self._generator.generate(photo)
            return self._detections(masks, [OBJECT] * len(masks))
        named = [] if sample is None or sample[field] is None else _prompts_of(sample[field], photo.shape)
        if not named:
            return _labels.Detections(detections=[])
        masks = self._model.segment(photo, Prompts.stack([prompts for prompts, _ in named]))
        return self._detections(masks, [label for _, label in named])

    def predict_all(self, args: Any, samples: Any = None) -> list[Any]:
        """As `predict`, of several images."""
        return [self.predict(arg, sample) for arg, sample in zip(args, samples or [None] * len(args), strict=True)]

    def _detections(self, masks: MaskSet, labels: list[str]) -> Any:
        pairs = zip(masks, labels, strict=True)
        return _labels.Detections(detections=[_detection(mask, label) for mask, label in pairs if mask.area_px])


def _detection(mask: Mask, label: str) -> Any:
    """A mask cropped to its box, which is in shares of the image: left, top, width, height."""
    height, width = mask.size_hw
    left, top, across, down = mask.box_xywh
    inside = mask.to_array()[top : top + down, left : left + across]
    box = [left / width, top / height, across / width, down / height]
    return _labels.Detection(label=label, bounding_box=box, mask=inside, confidence=mask.iou)


def _prompts_of(labels: Any, shape: tuple[int, ...]) -> list[tuple[Prompts, str]]:
    """What Detections or Keypoints ask for, in pixels, each with its label; points that are NaN are left out."""
    height, width = shape[:2]
    if isinstance(labels, _labels.Keypoints):
        found = []
        for keypoint in labels.keypoints:
            points = np.array(keypoint.points, float).reshape(-1, 2) * (width, height)
            points = points[np.isfinite(points).all(axis=1)].clip(0, [width - 1, height - 1])
            if len(points):
                found.append((Prompts.points(points), keypoint.label or OBJECT))
        return found
    detections = labels.detections if isinstance(labels, _labels.Detections) else [labels]
    return [(_box_of(each, width, height), each.label or OBJECT) for each in detections]


def _box_of(detection: Any, width: int, height: int) -> Prompts:
    left, top, across, down = detection.bounding_box
    box = np.array([left, top, left + across, top + down]) * (width, height, width, height)
    return Prompts.boxes(box.clip(0, [width, height, width, height]))
