"""Processes of their own, so that neither memory nor threads of one measurement are in another.

This module imports nothing large: a process that starts sets its number of threads before NumPy or torch read it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar

from samlet.errors import BackendError
from samlet.spawning import thread_variables

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_MEGABYTE = 1e6


class Worker:
    """A new process that answers calls one by one until the `with` block ends.

    `threads`: how many torch and NumPy use there (None: what they choose).
    """

    def __init__(self, threads: int | None = None) -> None:
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), _start, (thread_variables(threads),))

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def call(
        self, function: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """What the function returns or raises there; function and arguments must be picklable.

        BackendError if the process dies.
        """
        try:
            return self._pool.submit(function, *arguments, **named).result()
        except BrokenProcessPool as error:
            raise BackendError(
                "The process that was timed died, perhaps for lack of memory: time less (--what) or a smaller model."
            ) from error


def peak_memory_mb() -> float | None:
    """The most memory this process has ever held, in millions of bytes; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage of a new process begins with what its parent held
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / _MEGABYTE
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MEGABYTE


def _start(variables: Mapping[str, str]) -> None:
    os.environ.update(variables)
