"""Being asked to stop: the step at hand is finished first, or, where it would be lost without harm, is not."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from samlet.errors import StoppedError

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """`by`: the signal that asked to stop, None so far."""

    by: signal.Signals | None = None


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Collect SIGTERM and Ctrl-C for as long as the block lasts; a second one acts as if nobody listened.

    Only the main thread of a process may listen; elsewhere nothing changes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _frame: FrameType | None) -> None:
        request.by = signal.Signals(number)
        restore()

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield request
    finally:
        restore()


@contextmanager
def stopped_at_once(kept: str) -> Iterator[None]:
    """SIGTERM and Ctrl-C raise StoppedError in the block, "Stopped by …; " and what is `kept`.

    Only the main thread of a process may listen; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        raise StoppedError(f"Stopped by {signal.Signals(number).name}; {kept}.", number)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
