"""Lanes: threads for one kind of work, with a bounded number of jobs that wait for them.

A lane knows no HTTP and no models. A job that is cancelled before its turn never runs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from samlet.errors import SamletError

Result = TypeVar("Result")
LONGEST_RETRY_SECONDS = 60
_SHARE_OF_LAST = 0.2  # of the last job in the running mean of how long one takes


class BusyError(SamletError):
    """A lane is full; `retry_seconds` is when there will be room, as far as one can tell."""

    def __init__(self, lane: str, waiting: int, retry_seconds: int) -> None:
        # All arguments reach Exception.args, so the error survives pickling between processes.
        super().__init__(lane, waiting, retry_seconds)
        self.lane, self.waiting, self.retry_seconds = lane, waiting, retry_seconds

    def __str__(self) -> str:
        return f"The server is busy: {self.waiting} jobs wait to {self.lane}. Ask again in {self.retry_seconds} s."


class Lane:
    """`threads` threads that do one kind of work, and at most `waiting` jobs before them."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self.name = name
        self._threads, self._most = threads, threads + waiting
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"samlet-{name}")
        self._jobs = 0
        self._mean_seconds = 0.0
        self._lock = Lock()

    @property
    def jobs(self) -> int:
        """How many jobs run or wait."""
        return self._jobs

    def submit(self, job: Callable[[], Result]) -> Future[Result]:
        """Let a job wait for a thread; BusyError if too many wait."""
        with self._lock:
            if self._jobs >= self._most:
                raise BusyError(self.name, self._jobs, self._retry_seconds())
            self._jobs += 1
        try:
            future = self._pool.submit(self._timed, job)
        except RuntimeError:  # the pool has been closed
            self._leave()
            raise
        future.add_done_callback(lambda _: self._leave())
        return future

    def close(self) -> None:
        """Take no more jobs and drop those that wait; those that run end in their own time."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _retry_seconds(self) -> int:
        seconds = math.ceil(self._jobs * self._mean_seconds / self._threads)
        return min(max(seconds, 1), LONGEST_RETRY_SECONDS)

    def _timed(self, job: Callable[[], Result]) -> Result:
        start = time.perf_counter()
        try:
            return job()
        finally:
            seconds = time.perf_counter() - start
            with self._lock:
                known = self._mean_seconds or seconds
                self._mean_seconds = known + _SHARE_OF_LAST * (seconds - known)

    def _leave(self) -> None:
        with self._lock:
            self._jobs -= 1
