"""Work that ends early when nobody waits for it any more: between two questions to the network.

A network that runs cannot be interrupted, but a mask of many clicks asks it many times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Event
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Backend, MaskLogits
from samlet.errors import SamletError
from samlet.predictor import Predictor
from samlet.spec import ModelSpec
from samlet.tokens import PromptTokens
from samlet.web.lanes import Lane

Result = TypeVar("Result")


class StopAskedError(SamletError):
    """Long work was told to stop: its client is gone, or the server is stopping."""


@dataclass(frozen=True)
class _Question:
    """What a backend was asked, and what it said."""

    features: Mapping[str, NDArray[Any]]
    tokens: PromptTokens
    said: MaskLogits

    def is_that(self, features: Mapping[str, NDArray[Any]], tokens: PromptTokens) -> bool:
        pairs = zip(vars(self.tokens).values(), vars(tokens).values(), strict=True)
        return features is self.features and all(np.array_equal(*pair) for pair in pairs)  # an array is no None


class _StoppableBackend:
    """A backend that answers until it is told to stop; its first question, asked once more, from memory.

    The mask for people and the candidates it was chosen from are one answer of the network.
    """

    def __init__(self, backend: Backend, stop: Event) -> None:
        self._backend, self._stop = backend, stop
        self._first: _Question | None = None
        self.name: str = backend.name
        self.spec: ModelSpec = backend.spec

    def encode(self, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        self._check()
        return self._backend.encode(pixels)

    def decode(self, features: Mapping[str, NDArray[Any]], tokens: PromptTokens) -> MaskLogits:
        self._check()
        if self._first is not None and self._first.is_that(features, tokens):
            return self._first.said
        said = self._backend.decode(features, tokens)
        self._first = self._first or _Question(features, tokens, said)
        return said

    def _check(self) -> None:
        if self._stop.is_set():
            raise StopAskedError("Nobody waits for the answer any more.")


class _StoppableFuture(Future[Result]):
    """A future whose cancelling reaches work that runs already."""

    def __init__(self, stop: Event) -> None:
        super().__init__()
        self._stop = stop

    def cancel(self) -> bool:
        self._stop.set()
        return super().cancel()


def submit_stoppable(lane: Lane, model: Predictor, job: Callable[[Predictor], Result]) -> Future[Result]:
    """Let a job that asks `model` wait in a lane; cancelling its future ends it before the next question."""
    stop = Event()
    stoppable = Predictor(_StoppableBackend(model.backend, stop), model.weights)
    outer: Future[Result] = _StoppableFuture(stop)
    inner = lane.submit(lambda: job(stoppable))
    inner.add_done_callback(lambda done: hand_on(done, outer))
    outer.add_done_callback(lambda done: inner.cancel() if done.cancelled() else None)
    return outer


def hand_on(done: Future[Result], to: Future[Result]) -> None:
    """Give the result or the error of one future to another, unless nobody waits for that."""
    if done.cancelled():
        to.cancel()
    if not to.set_running_or_notify_cancel():
        return
    error = done.exception()
    if error is None:
        to.set_result(done.result())
    else:
        to.set_exception(error)
