"""Image in, prompts in, masks out: `embed` once, `predict` as often as you like.

A predictor keeps nothing of an image, so one predictor serves many images and many threads. It does not know how the
network is run (`samlet.backend`) nor where weights come from (`samlet.loading`).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Backend, Embedding, MaskLogits
from samlet.errors import InputError
from samlet.geometry.box_prior import with_box_prior
from samlet.geometry.patches import Patch
from samlet.images import ImageSource, read_image
from samlet.masks import Mask, MaskSet
from samlet.preprocess import to_pixels
from samlet.prompts import Prompts
from samlet.spec import ModelSpec

Candidates = Literal["best", "all", "single", "four"]
Select = Literal["iou", "stability"]
STABILITY_OFFSET = 1.0


class Predictor:
    """A promptable segmenter over any backend; stateless and thread-safe."""

    def __init__(self, backend: Backend) -> None:
        self.backend: Backend = backend
        self.spec: ModelSpec = backend.spec

    def embed(self, image: ImageSource) -> Embedding:
        """Encode one image: a path, a PIL image or an RGB array [H, W, 3]; ImageError if it cannot be read."""
        pixels, frame = to_pixels(read_image(image), self.spec.image)
        return Embedding(self.backend.encode(pixels[None]), frame, self.spec.name)

    def decode(self, embedding: Embedding, prompts: Prompts, *, box_prior: bool = True) -> MaskLogits:
        """The four candidates of each prompt, before upscaling: MaskLogits [P, 4].

        `box_prior`: whether a model that proposes regions reads a lone click by them (`samlet.geometry.box_prior`);
        prompts with a mask hint are never read so. InputError if another model made the embedding, PromptError if a
        prompt does not fit the image.
        """
        if embedding.model != self.spec.name:
            raise InputError(
                f"The embedding was made by {embedding.model!r} but this model is {self.spec.name!r}: "
                "embed the image again with this model."
            )
        frame = embedding.frame
        prompts.check(frame.size_hw)
        points_xy, labels = prompts.tokens()
        points_xy = frame.to_prompt(points_xy)
        if box_prior and prompts.mask_hint is None:
            points_xy, labels = with_box_prior(embedding.features, points_xy, labels)
        return self.backend.decode(embedding.features, points_xy, labels, prompts.mask_hint)

    def predict(
        self, embedding: Embedding, prompts: Prompts, *, candidates: Candidates = "best", select: Select = "iou"
    ) -> MaskSet:
        """Masks of P prompts in image pixels, prompt by prompt, with their low-resolution logits.

        `candidates`: "best" (P masks); "all" = the three of an ambiguous prompt (3·P); "single" = the model's own
        single answer, meant for unambiguous prompts (P); "four" = the single one, then the three (4·P). `select` says
        which is best: "iou" = of the three the one with the highest predicted IoU; "stability" = of the four the one
        that changes least with the threshold, as EdgeSAM, whose predicted IoU was not distilled. Errors as `decode`.
        """
        logits = self.decode(embedding, prompts)
        rows, columns = _choose(logits, candidates, select)
        chosen = logits.keep(rows, columns)
        low_res = chosen.low_res()[:, 0]
        masks = []
        for map_256, iou, row in zip(low_res, chosen.iou[:, 0], rows, strict=True):
            rle, stability = Patch.cut(map_256, embedding.frame, -STABILITY_OFFSET).answer(STABILITY_OFFSET)
            masks.append(Mask(rle=rle, iou=float(iou), stability=stability, prompt_index=int(row)))
        return MaskSet(masks, embedding.frame.size_hw, low_res)


def _choose(logits: MaskLogits, candidates: Candidates, select: Select) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the [P, 4] candidates that are answers."""
    rows = np.arange(len(logits.iou))
    if candidates == "best":
        return rows, _best(logits, select)
    columns = {"all": (1, 2, 3), "single": (0,), "four": (0, 1, 2, 3)}.get(candidates)
    if columns is None:
        raise InputError(f'candidates is {candidates!r}; it must be "best", "all", "single" or "four".')
    return rows.repeat(len(columns)), np.tile(columns, len(rows))


def _best(logits: MaskLogits, select: Select) -> NDArray[np.int64]:
    """The column [P] of each prompt's best candidate."""
    if select == "iou":
        return 1 + logits.iou[:, 1:].argmax(axis=1)
    if select == "stability":
        return logits.stability().argmax(axis=1)
    raise InputError(f'select is {select!r}; it must be "iou" or "stability".')
