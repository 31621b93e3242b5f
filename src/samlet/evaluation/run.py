"""Measures a predictor on samples by any protocol. Knows nothing of reports, progress bars or command lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from samlet.data import Sample
from samlet.evaluation.protocols.protocol import EvaluationProtocol
from samlet.evaluation.results import ImageResult, ResultLog
from samlet.predictor import Predictor


def evaluate(
    predictor: Predictor,
    samples: Sequence[Sample],
    protocol: EvaluationProtocol,
    log: ResultLog,
    on_image: Callable[[ImageResult], None] | None = None,
) -> list[ImageResult]:
    """Measure the samples the log does not hold yet; all results in sample order. `on_image` sees each new one."""
    waiting = [sample for sample in samples if sample.name not in log]
    record((evaluate_image(predictor, sample, protocol) for sample in waiting), log, on_image)
    return [log[sample.name] for sample in samples]


def record(
    results: Iterable[ImageResult], log: ResultLog, on_image: Callable[[ImageResult], None] | None = None
) -> None:
    """Log results as they come, each before the next is waited for."""
    for result in results:
        log.append(result)
        if on_image:
            on_image(result)


def evaluate_image(predictor: Predictor, sample: Sample, protocol: EvaluationProtocol) -> ImageResult:
    """Ask about one image as the protocol does, and measure the answers in image pixels."""
    return protocol.evaluate(predictor, sample)
