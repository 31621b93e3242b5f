"""The queue before the encoder: photos wait, some at a time are encoded together, and the same photo only once.

It knows bytes of image files and a model, no HTTP.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from samlet.errors import ImageError
from samlet.images import decode_image, upright_size
from samlet.predictor import Predictor
from samlet.web.kept import BoundedCache, EmbeddedPhoto
from samlet.web.lanes import Lane
from samlet.web.stopping import hand_on


def check_pixels(content: bytes, most_pixels: int) -> None:
    """ImageError for what is no image, or has more pixels than are taken; no pixel is decoded."""
    height, width = upright_size(content, "The body")
    if height * width > most_pixels:
        raise ImageError(
            f"The image ({width} x {height} pixels) is larger than this server takes, {most_pixels / 1e6:g} "
            "megapixels: shrink it or cut it into tiles."
        )


@dataclass(eq=False)
class _Job:
    """An image file that waits; `waiters` requests want the same one."""

    key: str
    content: bytes
    future: Future[EmbeddedPhoto] = field(default_factory=Future)
    waiters: int = 0


class EncodeQueue:
    """Encodes photos for `cache`, at most `batch` in one run of the encoder."""

    def __init__(
        self,
        model: Predictor,
        cache: BoundedCache[EmbeddedPhoto],
        lane: Lane,
        batch: int,
        most_pixels: int,
    ) -> None:
        self._model, self._cache, self._lane = model, cache, lane
        self._batch, self._most_pixels = batch, most_pixels
        self.encoded = 0  # photos so far
        self._jobs: dict[str, _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._lock = Lock()

    def key_of(self, content: bytes) -> str:
        """What an image file's embedding is called: the same for the same bytes and the same weights."""
        weights = self._model.weights or self._model.spec.name
        return hashlib.sha256(f"{self._model.spec.name}\n{weights}\n".encode() + content).hexdigest()[:32]

    def submit(self, content: bytes) -> Future[EmbeddedPhoto]:
        """The photo of an image file with its embedding, at once where it is kept; BusyError if too many wait.

        The future raises ImageError for what cannot be read. Each caller has a future of its own, which may be
        cancelled: the work stops when nobody waits for it any more.
        """
        key = self.key_of(content)
        mine: Future[EmbeddedPhoto] = Future()
        kept = self._cache.get(key)
        if kept is not None:
            mine.set_result(kept)
            return mine
        with self._lock:
            job = self._jobs.get(key)
            if job is None:
                job = _Job(key, content)
                self._lane.submit(self._run)
                self._jobs[key] = job
                self._waiting.append(job)
            job.waiters += 1
        job.future.add_done_callback(lambda done: hand_on(done, mine))
        mine.add_done_callback(lambda done: self._leave(job) if done.cancelled() else None)
        return mine

    def _leave(self, job: _Job) -> None:
        with self._lock:
            job.waiters -= 1
            if job.waiters == 0 and job in self._waiting:
                self._waiting.remove(job)
                self._jobs.pop(job.key, None)

    def _take(self) -> list[_Job]:
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]

    def _run(self) -> None:
        """One run of the encoder; nothing if an earlier one has taken all jobs."""
        read: list[tuple[_Job, NDArray[np.uint8]]] = []
        for job in self._take():
            try:
                check_pixels(job.content, self._most_pixels)
                read.append((job, decode_image(job.content, "The body")))
            except Exception as error:  # noqa: BLE001 - one photo's error, which its request is told
                self._end(job, error)
        if not read:
            return
        try:
            embeddings = self._model.embed_many([photo for _, photo in read], len(read))
        except Exception as error:  # noqa: BLE001 - those who wait are told
            for job, _ in read:
                self._end(job, error)
            return
        self.encoded += len(read)
        for (job, photo), embedding in zip(read, embeddings, strict=True):
            self._end(job, EmbeddedPhoto(job.key, photo, embedding))

    def _end(self, job: _Job, result: EmbeddedPhoto | Exception) -> None:
        if isinstance(result, EmbeddedPhoto):
            self._cache.put(job.key, result)
        with self._lock:
            self._jobs.pop(job.key, None)
        if isinstance(result, EmbeddedPhoto):
            job.future.set_result(result)
        else:
            job.future.set_exception(result)
