"""What is asked of each image of a job: everything in it, or the objects that its prompts name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Embedding
from samlet.candidates import Select
from samlet.errors import PromptError
from samlet.everything import MaskGenerator
from samlet.geometry.rle import decode, to_box
from samlet.labeling.items import Item, ObjectPrompt
from samlet.masks import Mask, MaskSet
from samlet.predictor import Predictor
from samlet.prompts import Prompts
from samlet.segmenting import Refine

Answer = tuple[MaskSet, tuple[str | None, ...]]
"""The masks of one image and the class of each."""


class Ask(Protocol):
    """A question to every image; picklable."""

    @property
    def what(self) -> Literal["everything", "prompts"]:
        """The kind of question."""
        ...

    @property
    def embeds(self) -> bool:
        """Whether `answer` wants the image's embedding, which is then made with those of other images."""
        ...

    def to_json(self) -> dict[str, Any]:
        """All that the answers depend on, in JSON values."""
        ...

    def answer(self, predictor: Predictor, item: Item, image: NDArray[np.uint8], embedding: Embedding | None) -> Answer:
        """The masks of one image uint8 RGB [H, W, 3]; PromptError if its prompts do not fit it."""
        ...


@dataclass(frozen=True)
class Everything:
    """Everything mode; `settings` are parameters of `MaskGenerator`, of which `memory_budget` changes no answer."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    memory_budget: int = 512 << 20
    what: Literal["everything"] = field(default="everything", init=False)
    embeds: bool = field(default=False, init=False)  # it embeds crops itself

    def to_json(self) -> dict[str, Any]:
        """See `Ask`."""
        return {"what": self.what, **self.settings}

    def answer(self, predictor: Predictor, item: Item, image: NDArray[np.uint8], embedding: Embedding | None) -> Answer:
        """See `Ask`."""
        del item, embedding
        masks = MaskGenerator(predictor, **self.settings, memory_budget=self.memory_budget).generate(image)
        return masks, (None,) * len(masks)


@dataclass(frozen=True)
class Prompted:
    """The prompts that come with each image: one mask for each object, as `Predictor.segment` makes them.

    An earlier mask is asked for again by its box and with itself as a hint.
    """

    refine: Refine = "auto"
    clean: bool = True
    select: Select = "iou"
    what: Literal["prompts"] = field(default="prompts", init=False)
    embeds: bool = field(default=True, init=False)

    def to_json(self) -> dict[str, Any]:
        """See `Ask`."""
        return {"what": self.what, "refine": self.refine, "clean": self.clean, "select": self.select}

    def answer(self, predictor: Predictor, item: Item, image: NDArray[np.uint8], embedding: Embedding | None) -> Answer:
        """See `Ask`; an image without objects has no masks."""
        if item.prompts is None:
            raise PromptError("No prompts came with this image: its source brings none.")
        objects = item.prompts
        masks: dict[int, Mask] = {}
        for hinted in (False, True):
            places = [place for place, each in enumerate(objects) if (each.mask is not None) == hinted]
            if not places:
                continue
            embedding = predictor.embed(image) if embedding is None else embedding
            prompts = _prompts([objects[place] for place in places], embedding)
            answers = predictor.segment(
                image, prompts, embedding=embedding, refine=self.refine, clean=self.clean, select=self.select
            )
            for mask in answers:
                place = places[mask.prompt_index]
                masks[place] = replace(mask, prompt_index=place)
        size_hw = (image.shape[0], image.shape[1])
        return MaskSet([masks[place] for place in range(len(objects))], size_hw), tuple(each.label for each in objects)


def _prompts(objects: Sequence[ObjectPrompt], embedding: Embedding) -> Prompts:
    """Objects as one value; all of them have an earlier mask, or none has."""
    prompts = Prompts.stack([_prompt(each) for each in objects])
    if objects[0].mask is None:
        return prompts
    size_hw = embedding.frame.size_hw
    for each in objects:
        if each.mask is not None and tuple(each.mask["size"]) != size_hw:
            raise PromptError(f"A mask of {each.mask['size']} pixels does not fit an image of {list(size_hw)} (h, w).")
    return prompts.with_mask(
        np.stack([decode(each.mask) for each in objects if each.mask is not None]), embedding.frame
    )


def _prompt(each: ObjectPrompt) -> Prompts:
    box = each.box_xyxy
    if box is None and each.mask is not None and not each.points_xy:
        left, top, width, height = to_box(each.mask)
        box = (left, top, left + width, top + height)
    if box is not None:
        return Prompts.boxes(box, each.points_xy, each.point_labels or None) if each.points_xy else Prompts.boxes(box)
    return Prompts.points(each.points_xy, each.point_labels or None)
