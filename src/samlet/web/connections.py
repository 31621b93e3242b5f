"""uvicorn's HTTP/1.1 connections with an end: for clients that send no whole head, or take no answer, in time.

uvicorn bounds the time between two requests only. What a handler sees, the time of a body, is `intake`'s.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

LOOK_SECONDS = 5.0
HEAD_SECONDS = 20.0
STUCK_SECONDS = 30.0


class BoundedConnection(H11Protocol):
    """A connection that is looked at every `LOOK_SECONDS`, and dropped if nothing has moved for too long."""

    look_seconds, head_seconds, stuck_seconds = LOOK_SECONDS, HEAD_SECONDS, STUCK_SECONDS

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._look: asyncio.TimerHandle | None = None
        self._waits_since = self._stuck_since = self.loop.time()
        self._unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As uvicorn's."""
        super().connection_made(transport)
        self._look = self.loop.call_later(self.look_seconds, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's."""
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """As uvicorn's. Most answers come and go between two looks, and the wait for a head begins anew after each."""
        self._waits_since = self.loop.time()
        super().on_response_complete()

    def _check(self) -> None:
        now = self.loop.time()
        if self._is_answering():
            self._waits_since = now
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._stuck_since = now
        self._unsent = unsent
        if now - self._waits_since > self.head_seconds or now - self._stuck_since > self.stuck_seconds:
            self.transport.abort()
            return
        self._look = self.loop.call_later(self.look_seconds, self._check)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete
