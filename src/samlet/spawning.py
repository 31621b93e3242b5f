"""Worker processes: how many threads they use, and that they end with whoever started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


def thread_variables(threads: int | None) -> Mapping[str, str]:
    """The environment of a process that shall use so many threads; empty for None."""
    return {} if threads is None else dict.fromkeys(_THREAD_VARIABLES, str(threads))


@contextmanager
def threads_each(threads: int) -> Iterator[None]:
    """Processes started in the block use so many threads for their arithmetic; libraries read this when they load."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(thread_variables(threads))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def leave_to_parent() -> None:
    """In a new worker: Ctrl-C is the parent's to heed, and the worker ends when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A killed parent can tell its workers nothing: without this they would wait for tasks for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
