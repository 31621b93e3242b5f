"""Does one shard: reads, decodes, encodes, asks, writes, the stages side by side. The same under every engine.

What a shard's files hold depends on the job alone: which images are encoded together is settled by their order, never
by what was ready first. An image that cannot be labeled is left out with its reason; the others are not touched by it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock, local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.ahead import one_ahead, some_ahead
from samlet.backend import Backend, Embedding, MaskLogits
from samlet.errors import BackendError, ImageError, SamletError
from samlet.images import decode_image
from samlet.labeling.asking import Ask
from samlet.labeling.items import Item, Source
from samlet.labeling.job import Job
from samlet.labeling.listing import KeptListing, Listed
from samlet.labeling.places import Place
from samlet.labeling.results import BrokenItem, LabeledImage, ShardResult, Sink, shard_name
from samlet.labeling.schedule import DEATHS_OF_IMAGE, Task
from samlet.predictor import Predictor
from samlet.spec import ModelSpec
from samlet.tokens import PromptTokens

SHARDS = "shards"
STAGES = ("read", "decode", "encode", "masks", "write")
READERS = 4
_WAITING_BYTES = 512 << 20
_DEADLY = f"{DEATHS_OF_IMAGE} worker processes in a row died on it"


@dataclass(frozen=True)
class Setup:
    """All that a worker needs, picklable; the predictor travels as the call that makes it.

    `readers`: how many images are read ahead at most. `waiting_bytes`: how much they may take.
    """

    job: Job
    ask: Ask
    predictor: Predictor
    sources: tuple[Source, ...]
    place: Place
    sink: Sink
    readers: int = READERS
    waiting_bytes: int = _WAITING_BYTES


@dataclass(frozen=True)
class ShardDone:
    """A shard that is committed: how much it holds, seconds by stage, and why images are missing, by id."""

    shard: int
    images: int
    masks: int
    broken: dict[str, str]
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Photo:
    """An image that was read."""

    item: Item
    sha256: str
    size_bytes: int
    pixels: NDArray[np.uint8]
    embedding: Embedding | None = None


class _Clock:
    """Seconds by stage, of all threads. A stage within another, in one thread, counts for itself alone."""

    def __init__(self) -> None:
        self.seconds = _no_time()
        self._lock = Lock()
        self._inner = local()

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        before = getattr(self._inner, "seconds", 0.0)
        self._inner.seconds = 0.0
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            with self._lock:
                self.seconds[stage] += spent - self._inner.seconds
            self._inner.seconds = before + spent


@dataclass(frozen=True)
class _TimedBackend:
    """A backend whose encoder is timed, whoever calls it."""

    inner: Backend
    clock: _Clock

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def spec(self) -> ModelSpec:
        return self.inner.spec

    def encode(self, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        with self.clock.timing("encode"):
            return self.inner.encode(pixels)

    def decode(self, features: Mapping[str, NDArray[Any]], tokens: PromptTokens) -> MaskLogits:
        return self.inner.decode(features, tokens)


class Worker:
    """Does shards, one at a time. `announce` gets the ids that a careful task looks at, before it does.

    BackendError if the setup's predictor is not what the job says.
    """

    def __init__(self, setup: Setup, announce: Callable[[tuple[str, ...]], None] = lambda _: None) -> None:
        check_model(setup)
        self._announce = announce
        self._listing = KeptListing(setup.place, setup.job.images_per_shard)
        self._clock = _Clock()
        encoder = _TimedBackend(setup.predictor.backend, self._clock)
        self._setup = replace(setup, predictor=Predictor(encoder, setup.predictor.weights))

    def do(self, task: Task) -> ShardDone:
        """Label a shard, write its files, then its marker. OutputError, or an error of its source, ends the job."""
        listed = self._listing.shard(task.shard)
        result = self.label_items(listed, task)
        self._announce(())
        place, sink = self._setup.place, self._setup.sink
        started = time.perf_counter()
        files = sink.write(result, self._reader(listed))
        for name in sink.files_of(task.shard):
            if name not in files:
                place.remove(name)  # of an attempt in which an image was broken
        counts = {"shard": task.shard, "images": len(result.images), "masks": result.masks}
        marker = {**counts, "broken": len(result.broken), "files": files}
        place.write(f"{SHARDS}/{shard_name(task.shard)}.json", (json.dumps(marker) + "\n").encode())
        seconds = {**result.seconds, "write": time.perf_counter() - started}
        broken = {each.item.image_id: each.reason for each in result.broken}
        return ShardDone(task.shard, len(result.images), result.masks, broken, seconds)

    def label(self, task: Task) -> ShardResult:
        """The masks of a shard's images, which are neither written nor committed."""
        return self.label_items(self._listing.shard(task.shard), task)

    def _reader(self, listed: Sequence[Listed]) -> Callable[[Item], bytes]:
        """How the files of a shard's images are read again."""
        sources = {each.item.image_id: self._setup.sources[each.source] for each in listed}
        return lambda item: sources[item.image_id].read(item)

    def label_items(self, listed: Sequence[Listed], task: Task) -> ShardResult:
        """The masks of these images, as of one shard."""
        self._clock.seconds = _no_time()
        images: list[LabeledImage] = []
        broken = [BrokenItem(each.item, _DEADLY) for each in listed if each.item.image_id in task.skipped]
        for photo in self._encoded([each for each in listed if each.item.image_id not in task.skipped], task):
            answer = photo if isinstance(photo, BrokenItem) else self._answered(photo, task)
            if isinstance(answer, BrokenItem):
                broken.append(answer)
            else:
                images.append(answer)
        broken.sort(key=lambda each: each.item.image_id)
        return ShardResult(task.shard, tuple(images), tuple(broken), dict(self._clock.seconds))

    def _encoded(self, listed: Sequence[Listed], task: Task) -> Iterator[_Photo | BrokenItem]:
        """The images in their order, with their embeddings if those are wanted, made while the last are asked."""
        if not self._setup.ask.embeds:
            yield from self._read(listed, task)
            return
        size = 1 if task.alone else self._setup.job.batch_size
        batches = _batches(self._read(listed, task), size)
        made = map(self._announced_batch, batches) if task.careful else one_ahead(self._encode, batches)
        for batch in made:
            yield from batch

    def _read(self, listed: Sequence[Listed], task: Task) -> Iterator[_Photo | BrokenItem]:
        """The images in their order, read and decoded ahead in threads."""
        if task.careful:
            for each in listed:
                self._announce((each.item.image_id,))
                yield self._opened(each)
            return
        yield from some_ahead(self._opened, listed, self._setup.readers, _bytes_of, self._setup.waiting_bytes)

    def _opened(self, listed: Listed) -> _Photo | BrokenItem:
        item = listed.item
        try:
            with self._clock.timing("read"):
                content = self._setup.sources[listed.source].read(item)
                digest = hashlib.sha256(content).hexdigest()
            with self._clock.timing("decode"):
                return _Photo(item, digest, len(content), decode_image(content, item.path))
        except (ImageError, MemoryError) as error:
            return BrokenItem(item, _reason(error))

    def _announced_batch(self, batch: list[_Photo | BrokenItem]) -> list[_Photo | BrokenItem]:
        self._announce(tuple(photo.item.image_id for photo in batch if isinstance(photo, _Photo)))
        return self._encode(batch)

    def _encode(self, batch: list[_Photo | BrokenItem]) -> list[_Photo | BrokenItem]:
        """The same images with embeddings; where the model fails on them together, each for itself."""
        photos = [photo for photo in batch if isinstance(photo, _Photo)]
        try:
            with self._clock.timing("decode"):  # what is resized for the network is the rest of decoding
                embeddings = self._setup.predictor.embed_many([photo.pixels for photo in photos], max(len(photos), 1))
        except Exception as error:  # noqa: BLE001 - whatever a model raises loses the image it was shown, no other
            if len(photos) > 1:
                return [each for photo in batch for each in self._encode([photo])]
            return [BrokenItem(photo.item, _reason(error)) for photo in batch]
        made = iter(embeddings)
        return [replace(photo, embedding=next(made)) if isinstance(photo, _Photo) else photo for photo in batch]

    def _answered(self, photo: _Photo, task: Task) -> LabeledImage | BrokenItem:
        if task.careful:
            self._announce((photo.item.image_id,))
        try:
            with self._clock.timing("masks"):
                masks, labels = self._setup.ask.answer(self._setup.predictor, photo.item, photo.pixels, photo.embedding)
        except Exception as error:  # noqa: BLE001 - as in _encode
            return BrokenItem(photo.item, _reason(error))
        return LabeledImage(photo.item, photo.sha256, photo.size_bytes, masks, labels)


def check_model(setup: Setup) -> None:
    """BackendError unless the predictor is the model that the job's results are of, run as they say."""
    model, predictor = setup.job.model, setup.predictor
    found = (predictor.spec.name, predictor.weights, predictor.backend.name)
    if found != (model.name, model.weights_sha256, model.backend):
        raise BackendError(
            f"This worker runs {found[0]} ({str(found[1])[:12]}…) with {found[2]}, the job is of {model.name} "
            f"({str(model.weights_sha256)[:12]}…) with {model.backend}: name the model and --backend, and install the "
            "same versions everywhere."
        )


def _batches(photos: Iterator[_Photo | BrokenItem], size: int) -> Iterator[list[_Photo | BrokenItem]]:
    """Runs of images with `size` good ones each, the last with fewer; broken ones stay where they are."""
    batch: list[_Photo | BrokenItem] = []
    for photo in photos:
        batch.append(photo)
        if sum(isinstance(each, _Photo) for each in batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _no_time() -> dict[str, float]:
    return {stage: 0.0 for stage in STAGES if stage != "write"}


def _bytes_of(photo: _Photo | BrokenItem) -> int:
    return photo.pixels.nbytes if isinstance(photo, _Photo) else 0


def _reason(error: BaseException) -> str:
    """One sentence; errors that samlet did not raise on purpose say what they are."""
    words = " ".join(str(error).split())
    if isinstance(error, SamletError):
        return words
    if isinstance(error, MemoryError):
        return "there was not memory enough for it"
    return f"{type(error).__name__}: {words}"
