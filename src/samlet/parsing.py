"""What each pixel of a photo is: a semantic segmenter over any backend, and label maps.

A segmenter keeps nothing of an image, so one serves many threads. It does not know how its network is run
(`samlet.backend.LogitsBackend`) nor where weights come from (`samlet.loading`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.backend import LogitsBackend
from samlet.classes import ClassList
from samlet.errors import InputError, ModelError
from samlet.geometry.label_logits import labels_of
from samlet.images import ImageSource, read_image
from samlet.label_map import LabelMap
from samlet.preprocess import fitted, normalized, short_side_hw
from samlet.spec import ModelSpec

SMALLEST_WINDOW, LARGEST_WINDOW = 64, 2048  # pixels
LARGEST_LOOK_PX = 2048 * 4096  # of a network's input: the larger models hold some 300 bytes for each pixel
OVERLAP = 4  # neighboring windows share 1/4 of their side: no pixel is labeled at a window's own edge


class SemanticSegmenter:
    """A model for semantic segmentation over any backend; stateless and thread-safe.

    `weights` identifies its weights (a sha256), None where nobody knows. `reload` makes the same segmenter again, in
    another process: a pickled one is that call. ModelError for a model of another task.
    """

    def __init__(
        self, backend: LogitsBackend, weights: str | None = None, reload: Callable[[], SemanticSegmenter] | None = None
    ) -> None:
        backend.spec.check_task("semantic_segmentation")
        self.backend: LogitsBackend = backend
        self.spec: ModelSpec = backend.spec
        self.weights: str | None = weights
        self._reload = reload

    def __repr__(self) -> str:
        return f"SemanticSegmenter({self.spec.name!r}, backend {self.backend.name!r})"

    def __reduce__(self) -> tuple[Callable[..., SemanticSegmenter], tuple[Any, ...]]:
        if self._reload is None:
            return SemanticSegmenter, (self.backend, self.weights)
        return self._reload, ()

    def reloaded_by(self, reload: Callable[[], SemanticSegmenter]) -> SemanticSegmenter:
        """The same segmenter, which is pickled as that call."""
        return SemanticSegmenter(self.backend, self.weights, reload)

    @property
    def classes(self) -> ClassList:
        """What the model tells apart, in the order of its logits."""
        if self.spec.classes is None:
            raise ModelError(f"{self.spec.name} has no classes.")
        return self.spec.classes

    def pixels(self, image: ImageSource) -> NDArray[np.float32]:
        """A whole image as the network sees it, resized as the spec says: float32 [3, H', W'].

        InputError for an image so long and thin that this would be too large.
        """
        picture = read_image(image)
        height, width = short_side_hw((picture.shape[0], picture.shape[1]), self.spec.image)
        if height * width > LARGEST_LOOK_PX:
            raise InputError(
                f"An image of {picture.shape[1]}x{picture.shape[0]} pixels would be looked at as {width}x{height}: "
                f"give window={self.spec.image.canvas} (--window), which looks at it piece by piece."
            )
        return normalized(fitted(picture, self.spec.image), self.spec.image)

    def logits(self, image: ImageSource) -> NDArray[np.float32]:
        """Logits of a whole image on the network's own grid: float32 [K, h, w]. ImageError if it cannot be read."""
        return self.backend.logits(self.pixels(image)[None])[0]

    def parse(self, image: ImageSource, window: int | None = None) -> LabelMap:
        """The class of each pixel of an image.

        `window`: None looks at the whole image, scaled as the spec says; a side in pixels looks at the image in its own
        size through overlapping windows of that side, for large images of small things. Memory does not grow with the
        image then, but for the label map. ImageError if it cannot be read; InputError for a window that is too small
        or too large.
        """
        picture = read_image(image)
        if window is not None:
            return LabelMap(self._through_windows(picture, _checked(window, self.spec)), self.classes)
        return LabelMap(labels_of(self.logits(picture), (picture.shape[0], picture.shape[1])), self.classes)

    def _through_windows(self, image: NDArray[np.uint8], window: int) -> NDArray[np.uint16]:
        labels = np.empty(image.shape[:2], np.uint16)
        for rows in _spans(image.shape[0], window):
            for columns in _spans(image.shape[1], window):
                part = _padded(image[rows.whole, columns.whole], self.spec.image.size_multiple)
                logits = self.backend.logits(normalized(part, self.spec.image)[None])[0]
                found = labels_of(logits, (part.shape[0], part.shape[1]))
                labels[rows.kept, columns.kept] = found[rows.inside, columns.inside]
        return labels


class _Span:
    """A window along one axis: where it lies, the part of the image that it labels, and where in it that part is."""

    def __init__(self, start: int, stop: int, first: int, last: int) -> None:
        self.whole = slice(start, stop)
        self.kept = slice(first, last)
        self.inside = slice(first - start, last - start)


def _spans(side: int, window: int) -> list[_Span]:
    """Windows that cover `side` pixels evenly; each labels what lies nearer to its middle than to its neighbors'."""
    if side <= window:
        return [_Span(0, side, 0, side)]
    steps = -(-(side - window) // (window - window // OVERLAP))
    starts = [round(i * (side - window) / steps) for i in range(steps + 1)]
    borders = [0, *((a + window + b) // 2 for a, b in pairwise(starts)), side]
    return [_Span(start, start + window, borders[i], borders[i + 1]) for i, start in enumerate(starts)]


def _padded(part: NDArray[np.uint8], multiple: int) -> NDArray[np.uint8]:
    """A part of an image with its last rows and columns repeated up to a multiple."""
    height, width = part.shape[:2]
    return np.pad(part, ((0, -height % multiple), (0, -width % multiple), (0, 0)), mode="edge")


def _checked(window: int, spec: ModelSpec) -> int:
    multiple = spec.image.size_multiple
    if not SMALLEST_WINDOW <= window <= LARGEST_WINDOW or window % multiple:
        raise InputError(
            f"window is {window}: it must be a multiple of {multiple} from {SMALLEST_WINDOW} to {LARGEST_WINDOW} "
            f"pixels; {spec.name} was made for {spec.image.canvas}."
        )
    return window
