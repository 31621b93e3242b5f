"""Which prompts run together and what they share, for every backend with the fast decoder.

Prompts of one image share its projected keys and values; they run a few at a time. The first few, and each with a mask
hint, are quicker without: they run alone. A backend says how many run together, how an image is projected and how a run
is decoded. Arrays are known by their identity, not what is made of them.
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
MOST_ALONE = 3  # prompts of an image before those are made, which takes as long as 3 or 4 prompts save with them
IMAGES_COUNTED = 64  # of which it is known how many prompts ran alone

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
            yield Part(places, here, np.searchsorted(self.rows[places], asked[here]))


@dataclass(frozen=True)
class Part:
    """Some prompts of a run, for masks that are asked for.

    `places` [S]: the prompts by their place in the run. `here` [H]: which of the asked masks they are. `prompt_of` [H]:
    of which of the S prompts each of those masks is.
    """

    places: NDArray[np.int64]
    here: NDArray[np.int64]
    prompt_of: NDArray[np.int64]


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
        self._ran_alone: dict[tuple[int, int], tuple[ref[NDArray[np.float32]], int]] = {}
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
            shared = self._kept_of(embeddings, int(image))
            if shared is None and self._may_run_alone(embeddings, int(image), len(rows)):
                yield from (self._lone(row, LoneImage(embedding)) for row in rows.reshape(-1, 1))
                continue
            shared = self._made_for(embeddings, int(image)) if shared is None else shared
            for some in np.split(rows, range(rows_per_run, len(rows), rows_per_run)):
                yield Run(some, shared)

    def _lone(self, row: NDArray[np.int64], image: LoneImage) -> Run[Shared]:
        return Run(row, image if self._alone else self._project(image))

    def _may_run_alone(self, embeddings: NDArray[np.float32], image: int, prompts: int) -> bool:
        """Whether these prompts are among the first of their image; they are counted."""
        if not self._alone or prompts > MOST_ALONE:
            return False
        key = id(embeddings), image
        with self._lock:
            owner, before = self._ran_alone.pop(key, (None, 0))
            count = prompts + (before if owner is not None and owner() is embeddings else 0)
            if count > MOST_ALONE and self._images_kept and not embeddings.flags.writeable:
                return False
            self._ran_alone[key] = ref(embeddings), count
            while len(self._ran_alone) > IMAGES_COUNTED:
                self._ran_alone.pop(next(iter(self._ran_alone)))
        return True

    def _kept_of(self, embeddings: NDArray[np.float32], image: int) -> Shared | None:
        with self._lock:
            owner, shared = self._kept.get((id(embeddings), image), (None, None))
        return shared if owner is not None and owner() is embeddings else None

    def _made_for(self, embeddings: NDArray[np.float32], image: int) -> Shared:
        """What the prompts of one image share, kept unless somebody may still write to its embedding."""
        shared = self._project(LoneImage(embeddings[image : image + 1]))
        if not embeddings.flags.writeable:
            with self._lock:
                self._kept[id(embeddings), image] = (ref(embeddings), shared)
                while len(self._kept) > self._images_kept:
                    self._kept.pop(next(iter(self._kept)))
        return shared
