"""What a server does, without HTTP: a model, its queue of photos, what is kept, and the threads that work.

One `Service` belongs to one application. Everything that takes long returns a future.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any, TypeVar

import numpy as np

from samlet.errors import SamletError
from samlet.everything import MaskGenerator, Progress
from samlet.masks import MaskSet
from samlet.predictor import Predictor
from samlet.prompts import Prompts
from samlet.web.answers import mask_answers
from samlet.web.encoding import EncodeQueue
from samlet.web.hints import Answered, Asked, Hints, Logits
from samlet.web.kept import BoundedCache, EmbeddedPhoto
from samlet.web.lanes import Lane
from samlet.web.settings import Settings
from samlet.web.stopping import StopAskedError, submit_stoppable

Result = TypeVar("Result")
CLICKS_BETWEEN_STOPS = 32  # of everything mode, about half a second on a laptop


class ForgottenError(SamletError):
    """An embedding or a mask is not kept any more, or never was."""


class Service:
    """A model that serves many requests at once, within the bounds of `settings`."""

    def __init__(self, model: Predictor, settings: Settings) -> None:
        self.model, self.settings = model, settings
        self.embedded: BoundedCache[EmbeddedPhoto] = BoundedCache(settings.cache_bytes, lambda kept: kept.bytes)
        self.hints = Hints(settings.hints_bytes, self._logits)
        self._encode_lane = Lane("encode", 1, settings.waiting)
        self._predict_lane = Lane("predict", settings.answer_threads, settings.waiting)  # quick: waits for no click
        self._segment_lane = Lane("segment", settings.answer_threads, settings.waiting)
        self._everything_lane = Lane("find everything", 1, max(1, settings.waiting // 16))
        self.queue = EncodeQueue(model, self.embedded, self._encode_lane, settings.encode_batch, settings.pixels)
        self.stopping = Event()

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """All lanes, for who watches them."""
        return self._encode_lane, self._predict_lane, self._segment_lane, self._everything_lane

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
        """The network's own answers, best first, as `schemas.MaskAnswers`.

        The future raises PromptError, or ForgottenError for a hint that is not kept.
        """
        return self._predict_lane.submit(partial(self._predict, kept, asked, multimask))

    def segment(self, kept: EmbeddedPhoto, asked: Asked) -> Future[dict[str, Any]]:
        """The mask for people, then the network's candidates, as `schemas.MaskAnswers`. Errors as `predict`."""
        return self.ask(lambda model: self._segment(model, kept, asked))

    def ask(self, job: Callable[[Predictor], Result]) -> Future[Result]:
        """Let a job that asks the model, which it is given, wait for its turn; BusyError if too many wait.

        Cancelling the future ends the job before its next question.
        """
        return submit_stoppable(self._segment_lane, self.model, job)

    def everything(
        self, kept: EmbeddedPhoto, options: dict[str, Any], progress: Progress, stop: Event
    ) -> Future[dict[str, Any]]:
        """All masks of an image; `stop` ends it early (StopAskedError). InputError for options that make no sense."""
        generator = MaskGenerator(self.model, clean=True, edges=True, points_per_batch=CLICKS_BETWEEN_STOPS, **options)
        return self._everything_lane.submit(partial(self._everything, generator, kept, progress, stop))

    def warm_up(self) -> None:
        """Ask once, so that the first client does not wait for sessions to open."""
        photo = np.zeros((64, 64, 3), np.uint8)
        self.model.segment(photo, points=[[32, 32]])

    def close(self) -> None:
        """Take no more work; long work ends at its next step."""
        self.stopping.set()
        for lane in self.lanes:
            lane.close()

    def _prompts(self, kept: EmbeddedPhoto, asked: Asked) -> Prompts:
        asked.prompts().check(kept.embedding.frame.size_hw)
        prompts = self.hints.prompts(asked, kept.key)
        if prompts is None:
            raise ForgottenError(f"The mask {asked.hint} of this image is not kept (any more): ask without the hint.")
        return prompts

    def _predict(self, kept: EmbeddedPhoto, asked: Asked, multimask: bool) -> dict[str, Any]:
        candidates = "multimask" if multimask else "best"
        masks = self.model.predict(kept.embedding, self._prompts(kept, asked), candidates=candidates)
        return mask_answers(self._named(masks, Answered(kept.key, asked, candidates, 0)))

    def _segment(self, model: Predictor, kept: EmbeddedPhoto, asked: Asked) -> dict[str, Any]:
        prompts = self._prompts(kept, asked)
        final = model.segment(kept.photo, prompts, embedding=kept.embedding)
        others = model.predict(kept.embedding, prompts, candidates="multimask")
        return mask_answers(
            [
                *self._named(final, Answered(kept.key, asked, "segment", 0)),
                *self._named(others, Answered(kept.key, asked, "multimask", 0)),
            ]
        )

    def _named(self, masks: MaskSet, first: Answered) -> list[tuple[Any, str]]:
        """Masks, best first, with the ids by which they may be a hint; `first` is what row 0 answers."""
        assert masks.low_res_logits is not None  # those of predict and segment have them
        order = sorted(range(len(masks)), key=lambda row: -(masks[row].iou or 0.0))
        logits = masks.low_res_logits
        return [(masks[row], self.hints.add(replace(first, row=row), logits[row])) for row in order]

    def _logits(self, answered: Answered, prompts: Prompts) -> Logits:
        """The logits [N, L, L] of an earlier question, asked again."""
        kept = self.kept(answered.embedding)
        if answered.verb == "segment":  # whose refining changes no logits
            masks = self.model.segment(kept.photo, prompts, embedding=kept.embedding, refine="none", clean=False)
        else:
            masks = self.model.predict(kept.embedding, prompts, candidates=answered.verb)
        assert masks.low_res_logits is not None
        return masks.low_res_logits

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
