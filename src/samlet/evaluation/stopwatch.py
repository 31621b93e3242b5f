"""Seconds per stage of a measurement."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up seconds per stage: reading images, embedding, predicting, scoring."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {"read": 0.0, "embed": 0.0, "predict": 0.0, "score": 0.0}

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Add the duration of the block to `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - start
