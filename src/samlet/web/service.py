"""What a server does, without HTTP: a model, its queue of photos, what is kept, and the threads that work.

One `Service` belongs to one application. Everything that takes long returns a future.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any

import numpy as np

from samlet.errors import PromptError, SamletError
from samlet.everything import MaskGenerator, Progress
from samlet.masks import MaskSet
from samlet.predictor import Predictor
from samlet.prompts import Prompts
from samlet.web.answers import mask_answers
from samlet.web.encoding import EncodeQueue
from samlet.web.kept import BoundedCache, EmbeddedPhoto, Hints
from samlet.web.lanes import Lane
from samlet.web.settings import Settings

CLICKS_BETWEEN_STOPS = 32  # of everything mode, about half a second on a laptop


class ForgottenError(SamletError):
    """An embedding or a mask is not kept any more, or never was."""


class StopAskedError(SamletError):
    """Long work was told to stop: its client is gone, or the server is stopping."""


@dataclass(frozen=True)
class Asked:
    """Clicks [K, 2] with labels [K], a box XYXY and the id of an earlier mask, in image pixels; each may be missing."""

    points: list[tuple[float, float]]
    labels: list[int] | None = None
    box: tuple[float, float, float, float] | None = None
    hint: str | None = None

    def prompts(self) -> Prompts:
        """One prompt, without the hint; PromptError if it says nothing."""
        if self.labels is not None and len(self.labels) != len(self.points):
            raise PromptError(f"There are {len(self.points)} points but {len(self.labels)} labels: give one per point.")
        if self.box is not None:
            return Prompts.boxes(self.box, self.points or None, self.labels if self.points else None)
        return Prompts.points(np.array(self.points, float).reshape(-1, 2), self.labels)


class Service:
    """A model that serves many requests at once, within the bounds of `settings`."""

    def __init__(self, model: Predictor, settings: Settings) -> None:
        self.model, self.settings = model, settings
        self.embedded: BoundedCache[EmbeddedPhoto] = BoundedCache(settings.cache_bytes, lambda kept: kept.bytes)
        self.hints = Hints(settings.hints_bytes)
        self._encode_lane = Lane("encode", 1, settings.waiting)
        self._decode_lane = Lane("answer", settings.decode_threads, settings.waiting)
        self._everything_lane = Lane("find everything", 1, max(1, settings.waiting // 16))
        self.queue = EncodeQueue(
            model, self.embedded, self._encode_lane, settings.encode_batch, settings.pixels, lambda _: None
        )
        self.stopping = Event()

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """All lanes, for who watches them."""
        return self._encode_lane, self._decode_lane, self._everything_lane

    def embed(self, content: bytes) -> Future[EmbeddedPhoto]:
        """Encode the image in the bytes of a file. The future raises ImageError; BusyError if too many wait."""
        return self.queue.submit(content)

    def kept(self, key: str) -> EmbeddedPhoto:
        """The image that was embedded as `key`; ForgottenError if it is not kept."""
        kept = self.embedded.get(key)
        if kept is None:
            raise ForgottenError(f"The embedding {key} is not kept here (any more): embed it again.")
        return kept

    def predict(self, kept: EmbeddedPhoto, asked: Asked, *, multimask: bool) -> Future[dict[str, Any]]:
        """The network's own answers, best first, as `schemas.MaskAnswers`; the future raises PromptError."""
        prompts = self._prompts(kept, asked)
        return self._decode_lane.submit(partial(self._predict, kept, prompts, multimask))

    def segment(self, kept: EmbeddedPhoto, asked: Asked) -> Future[dict[str, Any]]:
        """The mask for people, then the network's candidates, as `schemas.MaskAnswers`."""
        prompts = self._prompts(kept, asked)
        return self._decode_lane.submit(partial(self._segment, kept, prompts))

    def masks(self, job: Callable[[], MaskSet]) -> Future[MaskSet]:
        """Let a question to the model wait for its turn among the others."""
        return self._decode_lane.submit(job)

    def everything(
        self, kept: EmbeddedPhoto, options: dict[str, Any], progress: Progress, stop: Event
    ) -> Future[dict[str, Any]]:
        """All masks of an image; `stop` ends it early (StopAskedError). InputError for options that make no sense."""
        generator = MaskGenerator(self.model, clean=True, points_per_batch=CLICKS_BETWEEN_STOPS, **options)
        return self._everything_lane.submit(partial(self._everything, generator, kept, progress, stop))

    def close(self) -> None:
        """Take no more work; long work ends at its next step."""
        self.stopping.set()
        for lane in self.lanes:
            lane.close()

    def _prompts(self, kept: EmbeddedPhoto, asked: Asked) -> Prompts:
        prompts = asked.prompts()
        prompts.check(kept.embedding.frame.size_hw)
        if asked.hint is None:
            return prompts
        logits = self.hints.get(asked.hint, kept.key)
        if logits is None:
            raise ForgottenError(f"The mask {asked.hint} of this image is not kept (any more): ask without the hint.")
        return prompts.with_mask_hint(logits)

    def _predict(self, kept: EmbeddedPhoto, prompts: Prompts, multimask: bool) -> dict[str, Any]:
        candidates = "multimask" if multimask else "best"
        return self._answer(kept, self.model.predict(kept.embedding, prompts, candidates=candidates))

    def _segment(self, kept: EmbeddedPhoto, prompts: Prompts) -> dict[str, Any]:
        final = self.model.segment(kept.photo, prompts, embedding=kept.embedding)
        others = self.model.predict(kept.embedding, prompts, candidates="multimask")
        return {"masks": self._answer(kept, final)["masks"] + self._answer(kept, others)["masks"]}

    def _answer(self, kept: EmbeddedPhoto, masks: MaskSet) -> dict[str, Any]:
        assert masks.low_res_logits is not None  # those of predict and segment have them
        order = sorted(range(len(masks)), key=lambda index: -(masks[index].iou or 0.0))
        return mask_answers((masks[row], self.hints.add(kept.key, masks.low_res_logits[row])) for row in order)

    def warm_up(self) -> None:
        """Ask once, so that the first client does not wait for sessions to open."""
        photo = np.zeros((64, 64, 3), np.uint8)
        self.model.segment(photo, points=[[32, 32]])

    def _check_stop(self, stop: Event) -> None:
        if stop.is_set() or self.stopping.is_set():
            raise StopAskedError("Everything mode was told to stop.")

    def _everything(
        self, generator: MaskGenerator, kept: EmbeddedPhoto, progress: Progress, stop: Event
    ) -> dict[str, Any]:
        def tell(done: int, total: int) -> None:
            self._check_stop(stop)
            progress(done, total)

        self._check_stop(stop)
        masks = generator.generate(kept.photo, tell)
        return mask_answers((mask, "") for mask in masks)
