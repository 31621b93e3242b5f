"""CVAT: an interaction function, which CVAT's agent runs beside its server (`pip install "samlet[cvat]" cvat-cli`).

    cvat-cli --server-host https://CVAT function create-native samlet --function-module samlet.integrations.cvat
    cvat-cli --server-host https://CVAT function run-agent ID --function-module samlet.integrations.cvat

`-p model=str:NAME` (and backend, checkpoint, device) chooses the model, as `samlet.load` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Embedding
from samlet.extras import import_with_extra
from samlet.images import read_image
from samlet.loading import load
from samlet.predictor import Predictor
from samlet.prompts import BOX_OVERHANG_PX, Prompts


def create(
    model: str | None = None, backend: str = "auto", checkpoint: str | None = None, device: str | None = None
) -> Interaction:
    """The function that CVAT's agent asks for; arguments and errors as `samlet.load`."""
    return Interaction(load(model, checkpoint=checkpoint, backend=backend, device=device))


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """An image uint8 RGB [H, W, 3] and its embedding, which the agent keeps for more clicks."""

    photo: NDArray[np.uint8]
    embedding: Embedding


class Interaction:
    """cvat_sdk's `InteractionFunction`: clicks, a box or both become one mask. MissingExtraError without cvat_sdk."""

    def __init__(self, model: Predictor) -> None:
        self._model = model
        self._cvat = import_with_extra("cvat_sdk.auto_annotation", "cvat", "samlet.integrations.cvat")
        self._masks = import_with_extra("cvat_sdk.masks", "cvat", "samlet.integrations.cvat")

    @property
    def spec(self) -> Any:
        """What the annotator may give: any number of clicks on and off the object, and a box."""
        return self._cvat.InteractionFunctionSpec(min_pos_points=0, min_neg_points=0, min_bounding_boxes=0)

    def preprocess_image(self, context: Any, image: Any) -> PreparedImage:
        """Encode an image (PIL), once for all clicks on it."""
        del context  # holds nothing yet
        photo = read_image(image)
        return PreparedImage(photo, self._model.embed(photo))

    def detect(self, context: Any, pp_image: PreparedImage, prompts: Any) -> list[Any]:
        """The mask for `prompts` (cvat_sdk's InteractionPrompts), none if there is nothing."""
        del context
        asked = _prompts(prompts, pp_image.embedding.frame.size_hw)
        if asked is None:
            return []
        (mask,) = self._model.segment(pp_image.photo, asked, embedding=pp_image.embedding)
        if not mask.area_px:
            return []
        return [self._cvat.InteractionResultShape(type="mask", points=self._masks.encode_mask(mask.to_array()))]


def _prompts(prompts: Any, size_hw: tuple[int, int]) -> Prompts | None:
    """What was clicked, moved onto the image where it lies on its border; None for clicks off the object alone."""
    height, width = size_hw
    points = [*prompts.pos_points, *prompts.neg_points]
    labels = [1] * len(prompts.pos_points) + [0] * len(prompts.neg_points)
    inside = np.clip(np.array(points, float).reshape(-1, 2), 0, [width - BOX_OVERHANG_PX, height - BOX_OVERHANG_PX])
    if prompts.bounding_box is not None:
        box = np.clip(np.array(prompts.bounding_box, float), 0, [width, height]).ravel()
        return Prompts.boxes(box, inside, labels) if points else Prompts.boxes(box)
    return Prompts.points(inside, labels) if prompts.pos_points else None
