"""Measures with several processes on one machine: each has its own predictor and one thread.

One image is one task and only the caller writes the log, so the split changes no digit and a killed run resumes as any.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from samlet.data import Sample
from samlet.data.broken import Broken
from samlet.errors import BackendError
from samlet.evaluation import run
from samlet.evaluation.protocols.protocol import EvaluationProtocol
from samlet.evaluation.results import BrokenImage, ImageResult, ResultLog
from samlet.loading import Model
from samlet.spawning import leave_to_parent, threads_each

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
        with threads_each(1):  # processes are started by submit
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
    leave_to_parent()
    _LOADED.append(load())


def _measure(sample: Sample, protocol: EvaluationProtocol) -> ImageResult:
    return run.measure_sample(_LOADED[0], sample, protocol)
