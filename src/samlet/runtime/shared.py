"""Which prompts run together and what they share, for every backend with the fast decoder.

Prompts of one image share its projected keys and values; they run a few at a time. A few of them, and each with a mask
hint, are quicker without: they run alone. Nothing but the question decides it, so that it always gets the same bits. A
backend says how many run together, how an image is projected and how a run is decoded. Arrays are known by their
identity, not what is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeAlias, TypeVar
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from samlet.errors import BackendError
from samlet.tokens import PromptTokens

IMAGES_KEPT = 2  # whose shared arrays, 31 MB each, wait for more prompts
MOST_ALONE = 3  # prompts of an image in one question; making those takes as long as 3 or 4 prompts save with them

Shared = TypeVar("Shared")
Project: TypeAlias = Callable[["LoneImage"], Shared]
"""An image → what prompts about it share."""


@dataclass(frozen=True, eq=False)
class LoneImage:
    """One embedding float32 [1, C, G, G], and the mask hint [1, L, L] of its only prompt, if there is one."""

    embedding: NDArray[np.float32]
    mask_hint: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Run(Generic[Shared]):
    """Prompts about one image that the decoder takes at once: their rows, ascending int64 [R], and what they share.

    A prompt that runs alone has its image itself.
    """

    rows: NDArray[np.int64]
    shared: Shared | LoneImage

    def parts(self, asked: NDArray[np.int64], size: int) -> Iterator[Part]:
        """The prompts of the run whose row is among `asked` [K], at most `size` at a time."""
        wanted = np.flatnonzero(np.isin(self.rows, asked))
        for start in range(0, len(wanted), size):
            places = wanted[start : start + size]
            here = np.flatnonzero(np.isin(asked, self.rows[places]))
            yield Part(_view(places), here, np.searchsorted(self.rows[places], asked[here]))


@dataclass(frozen=True)
class Part:
    """Some prompts of a run, for masks that are asked for.

    `places`: the S prompts by their place in the run, a slice where they are neighbors, which copies nothing.
    `here` [H]: which of the asked masks they are. `prompt_of` [H]: of which of the S prompts each of those masks is.
    """

    places: slice | NDArray[np.int64]
    here: NDArray[np.int64]
    prompt_of: NDArray[np.int64]


def _view(places: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """Ascending places as a slice, if they are neighbors: a prompt's arrays are megabytes."""
    first, end = int(places[0]), int(places[-1]) + 1
    return slice(first, end) if end - first == len(places) else places


class SharedOfImages(Generic[Shared]):
    """Makes what the prompts of an image share, and keeps it for the last `images_kept` images.

    Only for embeddings that cannot change (read-only arrays). Safe to use from many threads. `alone`: whether the
    backend can decode a prompt with its image itself.
    """

    def __init__(self, project: Project[Shared], images_kept: int = IMAGES_KEPT, *, alone: bool = True) -> None:
        if images_kept < 0:
            raise BackendError(f"images_kept is {images_kept}: give 0 or more.")
        self._project = project
        self._images_kept = images_kept
        self._alone = alone
        self._kept: dict[tuple[int, int], tuple[ref[NDArray[np.float32]], Shared]] = {}
        self._lock = Lock()

    def runs(self, embeddings: NDArray[np.float32], tokens: PromptTokens, rows_per_run: int) -> Iterator[Run[Shared]]:
        """The runs that answer all prompts, images one after the other, at most `rows_per_run` prompts in each.

        A hint changes the image that a prompt sees, so prompts with hints share nothing and run one by one.
        """
        images = tokens.images
        for image in np.unique(images):
            rows = np.flatnonzero(images == image)
            embedding = embeddings[image : image + 1]
            if tokens.mask_hint is not None:
                for row in rows.reshape(-1, 1):
                    yield self._lone(row, LoneImage(embedding, tokens.mask_hint[row]))
                continue
            if self._alone and len(rows) <= MOST_ALONE:
                yield from (self._lone(row, LoneImage(embedding)) for row in rows.reshape(-1, 1))
                continue
            shared = self._of(embeddings, int(image))
            for some in np.split(rows, range(rows_per_run, len(rows), rows_per_run)):
                yield Run(some, shared)

    def _lone(self, row: NDArray[np.int64], image: LoneImage) -> Run[Shared]:
        return Run(row, image if self._alone else self._project(image))

    def _of(self, embeddings: NDArray[np.float32], image: int) -> Shared:
        """What is kept for one image of `embeddings`; made, and kept unless somebody may still write to them."""
        key = (id(embeddings), image)
        with self._lock:
            owner, shared = self._kept.get(key, (None, None))
        if shared is not None and owner is not None and owner() is embeddings:
            return shared
        shared = self._project(LoneImage(embeddings[image : image + 1]))
        if not embeddings.flags.writeable:
            with self._lock:
                self._kept[key] = (ref(embeddings), shared)
                while len(self._kept) > self._images_kept:
                    self._kept.pop(next(iter(self._kept)))
        return shared
