"""What a server keeps between requests, within a bound of bytes: what was used longest ago is forgotten first.

Safe to use from many threads.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Embedding

Value = TypeVar("Value")


class BoundedCache(Generic[Value]):
    """A mapping of at most `most_bytes`, as `size_of` measures values; what was used longest ago goes first.

    The newest value stays even where it alone is larger.
    """

    def __init__(self, most_bytes: int, size_of: Callable[[Value], int]) -> None:
        self._most_bytes, self._size_of = most_bytes, size_of
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._values)

    @property
    def bytes(self) -> int:
        """Bytes of all values."""
        return self._bytes

    def get(self, key: str) -> Value | None:
        """The value, now the one that was used last; None if it is not here (any more)."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: str, value: Value) -> None:
        """Keep a value, and forget others if it takes their room."""
        with self._lock:
            self._forget(key)
            self._values[key] = value
            self._bytes += self._size_of(value)
            while self._bytes > self._most_bytes and len(self._values) > 1:
                self._forget(next(iter(self._values)))

    def _forget(self, key: str) -> None:
        value = self._values.pop(key, None)
        if value is not None:
            self._bytes -= self._size_of(value)


@dataclass(frozen=True, eq=False)
class EmbeddedPhoto:
    """A photo uint8 RGB [H, W, 3] and its embedding, known as `key`."""

    key: str
    photo: NDArray[np.uint8]
    embedding: Embedding

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return self.photo.nbytes + sum(array.nbytes for array in self.embedding.features.values())
