"""What prompts of one image have in common, for every backend with the fast decoder: which of them run together, and
what they share, kept for more of them.

It knows arrays by their identity, not what is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Generic, TypeVar
from weakref import ref

import numpy as np
from numpy.typing import NDArray

IMAGES_KEPT = 2  # whose shared arrays, 31 MB each, wait for more prompts

Shared = TypeVar("Shared")


class KeptImages(Generic[Shared]):
    """What prompts share, for the last few images whose embeddings cannot change. Safe to use from many threads."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], tuple[ref[NDArray[np.float32]], Shared]] = {}
        self._lock = Lock()

    def get(self, embeddings: NDArray[np.float32], image: int, make: Callable[[], Shared]) -> Shared:
        """What is kept for one image of `embeddings`; made, and kept unless somebody may still write to them."""
        key = (id(embeddings), image)
        with self._lock:
            owner, shared = self._kept.get(key, (None, None))
        if shared is not None and owner is not None and owner() is embeddings:
            return shared
        shared = make()
        if not embeddings.flags.writeable:
            with self._lock:
                self._kept[key] = (ref(embeddings), shared)
                while len(self._kept) > IMAGES_KEPT:
                    self._kept.pop(next(iter(self._kept)))
        return shared


def runs_of(image_of: NDArray[np.int64], rows_per_run: int) -> Iterator[NDArray[np.int64]]:
    """Rows that one run of the decoder takes: prompts of one image, images one after the other.

    A hint changes the image that a prompt sees, so prompts with hints share nothing and run one by one.
    """
    for image in np.unique(image_of):
        rows = np.flatnonzero(image_of == image)
        yield from np.split(rows, range(rows_per_run, len(rows), rows_per_run))
