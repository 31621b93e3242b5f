"""What an engine is: it has workers do shards, in whatever order, and says when each is committed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from samlet.labeling.worker import Setup, ShardDone


class Engine(Protocol):
    """Knows processes or machines; what a shard is and how it is done, `Worker` knows."""

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    @property
    def workers(self) -> int:
        """How many shards are at work at once, at most."""
        ...

    def run(self, shards: Sequence[int], setup: Setup) -> Iterator[ShardDone]:
        """Have all shards done; each is yielded once, when it is committed. Closed early, it leaves no worker behind.

        Raises what ended a worker for good: OutputError, DataError, BackendError, MissingExtraError.
        """
        ...
