"""What is in a photo: a classifier over any backend, and its answers.

A classifier keeps nothing of an image, so one serves many threads. It does not know how its network is run
(`samlet.backend.LogitsBackend`) nor where weights come from (`samlet.loading`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.backend import LogitsBackend
from samlet.errors import InputError
from samlet.images import ImageSource, read_image
from samlet.preprocess import fitted, normalized
from samlet.spec import ModelSpec

IMAGES_PER_BATCH = 8


@dataclass(frozen=True)
class ClassScore:
    """One class and how sure the model is of it: `index` among the model's classes, softmax `probability`."""

    index: int
    name: str
    probability: float


@dataclass(frozen=True)
class Classification:
    """The classes a model gives an image, the surest first."""

    scores: tuple[ClassScore, ...]

    @property
    def top(self) -> ClassScore:
        """The surest class."""
        return self.scores[0]

    def to_json(self) -> list[dict[str, Any]]:
        """The scores as JSON values."""
        return [
            {"index": score.index, "class": score.name, "probability": round(score.probability, 6)}
            for score in self.scores
        ]


class Classifier:
    """A model for classification over any backend; stateless and thread-safe.

    `weights` identifies its weights (a sha256), None where nobody knows. `reload` makes the same classifier again, in
    another process: a pickled one is that call. ModelError for a model of another task.
    """

    def __init__(
        self, backend: LogitsBackend, weights: str | None = None, reload: Callable[[], Classifier] | None = None
    ) -> None:
        backend.spec.check_task("classification")
        self.backend: LogitsBackend = backend
        self.spec: ModelSpec = backend.spec
        self.weights: str | None = weights
        self._reload = reload

    def __repr__(self) -> str:
        return f"Classifier({self.spec.name!r}, backend {self.backend.name!r})"

    def __reduce__(self) -> tuple[Callable[..., Classifier], tuple[Any, ...]]:
        if self._reload is None:
            return Classifier, (self.backend, self.weights)
        return self._reload, ()

    def reloaded_by(self, reload: Callable[[], Classifier]) -> Classifier:
        """The same classifier, which is pickled as that call."""
        return Classifier(self.backend, self.weights, reload)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of the logits."""
        return () if self.spec.classes is None else self.spec.classes.names

    def pixels(self, image: ImageSource) -> NDArray[np.float32]:
        """An image as the network sees it, resized and cropped as the spec says: float32 [3, S, S]."""
        return normalized(fitted(read_image(image), self.spec.image), self.spec.image)

    def logits(self, images: Iterable[ImageSource], batch_size: int = IMAGES_PER_BATCH) -> NDArray[np.float32]:
        """Logits of images, float32 [N, K]; ImageError names the first image that cannot be read."""
        batches = list(self._batches(images, batch_size))
        return np.concatenate(batches) if batches else np.empty((0, len(self.class_names)), np.float32)

    def classify(
        self, images: Iterable[ImageSource], top_k: int = 5, batch_size: int = IMAGES_PER_BATCH
    ) -> list[Classification]:
        """The `top_k` surest classes of each image (all of them where there are fewer), in the order of the images.

        Errors as for `logits`; InputError if `top_k` or `batch_size` is not 1 or more.
        """
        if top_k < 1:
            raise InputError(f"top_k is {top_k}: it must be 1 or more.")
        return [self._answer(row, top_k) for row in self.logits(images, batch_size)]

    def classify_pixels(self, pixels: NDArray[np.float32], top_k: int = 5) -> list[Classification]:
        """The same for images that are pixels already, float32 [N, 3, S, S], in one run."""
        return [self._answer(row, top_k) for row in self.backend.logits(pixels)]

    def _batches(self, images: Iterable[ImageSource], batch_size: int) -> Iterator[NDArray[np.float32]]:
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}: it must be 1 or more.")
        if isinstance(images, (str, bytes)):
            raise InputError("images is one path: give a list of images.")
        waiting = iter(images)
        while batch := [self.pixels(image) for image in islice(waiting, batch_size)]:
            yield self.backend.logits(np.stack(batch))

    def _answer(self, logits: NDArray[np.float32], top_k: int) -> Classification:
        powers = np.exp(logits.astype(np.float64) - logits.max())
        surest = np.argsort(-logits, kind="stable")[:top_k]
        shares = powers[surest] / powers.sum()
        names = self.class_names
        scores = (ClassScore(int(i), names[i], float(share)) for i, share in zip(surest.tolist(), shares, strict=True))
        return Classification(tuple(scores))
