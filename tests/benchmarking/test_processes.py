"""Processes of their own: threads, memory, errors, death."""

from __future__ import annotations

import os

import pytest

from samlet.benchmarking.processes import Worker, peak_memory_mb
from samlet.errors import BackendError, ImageError


def refuse() -> None:
    raise ImageError("no photo")


def test_a_worker_is_one_other_process_with_its_threads_until_it_dies():
    with Worker(threads=3) as worker:
        child = worker.call(os.getpid)
        assert child != os.getpid()
        assert worker.call(os.getenv, "OMP_NUM_THREADS") == "3"
        with pytest.raises(ImageError, match="no photo"):
            worker.call(refuse)
        held = worker.call(peak_memory_mb)
        worker.call(bytearray, 50_000_000)
        assert worker.call(peak_memory_mb) > held + 45
        assert worker.call(os.getpid) == child
        with pytest.raises(BackendError, match="lack of memory"):
            worker.call(os._exit, 9)
