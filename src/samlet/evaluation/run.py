"""Measures a predictor on samples by any protocol. Knows nothing of reports, progress bars or command lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from samlet.data import Sample
from samlet.data.broken import Broken
from samlet.errors import DataError
from samlet.evaluation.content import content_sha256
from samlet.evaluation.protocols.protocol import EvaluationProtocol
from samlet.evaluation.results import BrokenImage, ImageResult, ResultLog
from samlet.loading import Model


def evaluate(
    predictor: Model,
    samples: Sequence[Sample],
    protocol: EvaluationProtocol,
    log: ResultLog,
    on_image: Callable[[ImageResult], None] | None = None,
    broken: Broken | None = None,
) -> list[ImageResult]:
    """Measure the samples the log does not hold yet; all results in sample order. `on_image` sees each new one.

    Images that cannot be read are `broken`: logged as such and passed over (None: that is an error). A result whose
    photo or masks have changed since is measured again.
    """
    measured = measured_one_by_one(predictor, waiting(samples, log), protocol, Broken() if broken is None else broken)
    record(measured, log, on_image)
    return [log[sample.name] for sample in samples if sample.name in log]


def waiting(samples: Sequence[Sample], log: ResultLog) -> list[Sample]:
    """The samples that the log does not hold, or holds with another content than they have now."""
    return [sample for sample in samples if sample.name not in log or _has_changed(sample, log[sample.name])]


def record(
    results: Iterable[ImageResult | BrokenImage],
    log: ResultLog,
    on_image: Callable[[ImageResult], None] | None = None,
) -> None:
    """Log results as they come, each before the next is waited for."""
    for result in results:
        log.append(result)
        if on_image and isinstance(result, ImageResult):
            on_image(result)


def measured_one_by_one(
    predictor: Model, samples: Sequence[Sample], protocol: EvaluationProtocol, broken: Broken
) -> Iterator[ImageResult | BrokenImage]:
    """The results as they come; DataError of one image more than may be broken."""
    for sample in samples:
        yield or_broken(lambda sample=sample: measure_sample(predictor, sample, protocol), sample, broken)


def or_broken(measure: Callable[[], ImageResult], sample: Sample, broken: Broken) -> ImageResult | BrokenImage:
    """What `measure` returns of the sample, or that it is broken; DataError if too many are."""
    try:
        return measure()
    except DataError as error:
        broken.add(sample.name, error)
        return BrokenImage(sample.name, str(error))


def measure_sample(predictor: Model, sample: Sample, protocol: EvaluationProtocol) -> ImageResult:
    """`evaluate_image`, with the content it was measured on."""
    content = content_sha256(sample)
    return replace(evaluate_image(predictor, sample, protocol), content=content)


def evaluate_image(predictor: Model, sample: Sample, protocol: EvaluationProtocol) -> ImageResult:
    """Ask about one image as the protocol does, and measure the answers in image pixels."""
    return protocol.evaluate(predictor, sample)


def _has_changed(sample: Sample, result: ImageResult) -> bool:
    if result.content is None:  # a log of 0.1.0
        return False
    try:
        return content_sha256(sample) != result.content
    except DataError:  # measuring it will tell
        return True
