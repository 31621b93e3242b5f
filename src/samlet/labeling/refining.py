"""Asks again for the masks of a former run, each with its box and itself as a hint: by a better model, say.

Masks are looked up where an image is answered, a shard of the former run at a time: in the listing of the new job they
would take as much room as the results.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Embedding
from samlet.errors import PromptError
from samlet.labeling.asking import Answer, Prompted
from samlet.labeling.finished import FinishedImage, finished_job, read_shard
from samlet.labeling.items import Item, ItemPrompts, ObjectPrompt
from samlet.labeling.job import JOB_FILE
from samlet.labeling.listing import image_ids
from samlet.labeling.places import Place
from samlet.labeling.plan import SHARDS
from samlet.predictor import Predictor

_SHARDS_KEPT = 2  # both runs go by image id, so the next image is most often in the same shard


class FormerRun:
    """The results of a finished job, image by image; what was read last is kept."""

    def __init__(self, place: Place) -> None:
        self._place, self._job = place, finished_job(place)
        self._first_ids = image_ids(place)[:: self._job.images_per_shard]
        self._shards: dict[int, dict[str, FinishedImage]] = {}

    def objects(self, image_id: str) -> ItemPrompts:
        """The masks of an image, without those that have no pixel. PromptError for an image that was not labeled."""
        number = bisect_right(self._first_ids, image_id) - 1
        found = self._shard(number).get(image_id) if number >= 0 else None
        if found is None:
            raise PromptError(f"{self._place.name} has no masks of {image_id}: it was not labeled there.")
        pairs = zip(found.masks, found.labels, strict=True)
        return tuple(ObjectPrompt(mask=mask.rle, label=label) for mask, label in pairs if mask.area_px)

    def sha256(self) -> str:
        """A digest of all results, by their markers, which have one of each file."""
        digest = hashlib.sha256(self._place.read(JOB_FILE) or b"")
        for name in self._place.names(SHARDS):
            digest.update(self._place.read(f"{SHARDS}/{name}") or b"")
        return digest.hexdigest()

    def _shard(self, number: int) -> dict[str, FinishedImage]:
        if number not in self._shards:
            while len(self._shards) >= _SHARDS_KEPT:
                del self._shards[next(iter(self._shards))]
            self._shards[number] = {image.image_id: image for image in read_shard(self._place, self._job, number)}
        return self._shards[number]


@dataclass(frozen=True)
class Refined:
    """The masks that the finished job in `former` has of each image, by the image's id; see `Ask`."""

    former: Place
    prompted: Prompted = field(default_factory=Prompted)
    what: Literal["prompts"] = field(default="prompts", init=False)
    embeds: bool = field(default=True, init=False)

    def __reduce__(self) -> tuple[type[Refined], tuple[Place, Prompted]]:
        return Refined, (self.former, self.prompted)  # without what it has read

    def to_json(self) -> dict[str, Any]:
        """See `Ask`: with a digest of the former results."""
        return {**self.prompted.to_json(), "former_sha256": self._run.sha256()}

    def answer(self, predictor: Predictor, item: Item, image: NDArray[np.uint8], embedding: Embedding | None) -> Answer:
        """See `Ask`; PromptError for an image that the former run has not."""
        objects = self._run.objects(item.image_id)
        return self.prompted.answer(predictor, replace(item, prompts=objects), image, embedding)

    @cached_property
    def _run(self) -> FormerRun:
        return FormerRun(self.former)
