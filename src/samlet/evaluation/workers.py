"""Measures with several processes on one machine: each has its own predictor and one thread.

One image is one task and only the caller writes the log, so the split changes no digit and a killed run resumes as any.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from samlet.data import Sample
from samlet.data.broken import Broken
from samlet.errors import BackendError
from samlet.evaluation import run
from samlet.evaluation.protocols.protocol import EvaluationProtocol
from samlet.evaluation.results import BrokenImage, ImageResult, ResultLog
from samlet.loading import Model

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LOADED: list[Model] = []  # in a worker process: its predictor, the only thing an initializer can hand on


def evaluate_in_processes(
    load: Callable[[], Model],
    workers: int,
    samples: Sequence[Sample],
    protocol: EvaluationProtocol,
    log: ResultLog,
    on_image: Callable[[ImageResult], None] | None = None,
    broken: Broken | None = None,
) -> list[ImageResult]:
    """`evaluate` with so many processes, 1 or more; each calls `load`, which must be picklable, once.

    Raises BackendError if a worker dies, and whatever error stops a measurement.
    """
    waiting = run.waiting(samples, log)
    broken = Broken() if broken is None else broken
    run.record(_measured(load, min(workers, len(waiting)), waiting, protocol, broken), log, on_image)
    return [log[sample.name] for sample in samples if sample.name in log]


def _measured(
    load: Callable[[], Model],
    workers: int,
    samples: Sequence[Sample],
    protocol: EvaluationProtocol,
    broken: Broken,
) -> Iterator[ImageResult | BrokenImage]:
    """The results as they come."""
    if not samples:
        return
    spawn = multiprocessing.get_context("spawn")  # a fork would copy the parent's threads in mid-air
    pool = ProcessPoolExecutor(workers, spawn, _start, (load,))
    try:
        with _one_thread_each():  # processes are started by submit
            tasks = {pool.submit(_measure, sample, protocol): sample for sample in samples}
        for task in as_completed(tasks):
            yield run.or_broken(task.result, tasks[task], broken)
    except BrokenProcessPool as error:
        raise BackendError(
            "A worker process died, perhaps for lack of memory: what was measured is kept, so give the same command "
            "again, with fewer --workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start(load: Callable[[], Model]) -> None:
    """In a new worker: leave Ctrl-C to the parent, end with the parent, load the model."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _LOADED.append(load())


def _end_with_parent() -> None:
    # A killed parent can tell its workers nothing: without this they would wait for tasks for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _measure(sample: Sample, protocol: EvaluationProtocol) -> ImageResult:
    return run.measure_sample(_LOADED[0], sample, protocol)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started in the block use one thread for their arithmetic; libraries read this when they load."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
