"""Measures a predictor on samples: one embedding per image, the prompts of an image in batches.

Works with any Predictor. Knows nothing of reports, progress bars or command lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from samlet.backend import Embedding
from samlet.data import Annotation, Sample
from samlet.evaluation.metrics.scoring import score
from samlet.evaluation.protocols.answers import PROMPTS_PER_BATCH, Answer, ask
from samlet.evaluation.protocols.detector import evaluate_detections
from samlet.evaluation.protocols.dialogue import Dialogue
from samlet.evaluation.protocols.everything import evaluate_everything
from samlet.evaluation.protocols.protocol import Protocol
from samlet.evaluation.results import ImageResult, InstanceResult, ResultLog
from samlet.evaluation.stopwatch import Stopwatch
from samlet.predictor import Predictor


def evaluate(
    predictor: Predictor,
    samples: Sequence[Sample],
    protocol: Protocol,
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


def evaluate_image(predictor: Predictor, sample: Sample, protocol: Protocol) -> ImageResult:
    """Prompt every annotation of one image by the protocol and compare the masks in image pixels."""
    if protocol.start == "everything":
        return evaluate_everything(predictor, sample)
    if protocol.start == "box_from_detector":
        return evaluate_detections(predictor, sample, protocol.policy)
    watch = Stopwatch()
    with watch.time("read"):
        image = sample.read_image()
    with watch.time("embed"):
        embedding = predictor.embed(image)
    instances: list[InstanceResult] = []
    for start in range(0, len(sample.annotations), PROMPTS_PER_BATCH):
        batch = sample.annotations[start : start + PROMPTS_PER_BATCH]
        instances += _measure(predictor, embedding, batch, protocol, watch)
    return ImageResult(sample.name, sample.source, tuple(instances), watch.seconds)


def converse(
    predictor: Predictor,
    embedding: Embedding,
    annotations: Sequence[Annotation],
    protocol: Protocol,
    watch: Stopwatch | None = None,
) -> tuple[Dialogue, Answer]:
    """All rounds of the protocol for a batch of annotations: the prompts at the end, and the last answer."""
    watch = watch or Stopwatch()
    with watch.time("read"):
        dialogue = Dialogue(protocol.start, annotations, embedding.frame)
    answer: Answer | None = None
    for _ in range(protocol.rounds):
        with watch.time("score"):
            prompts = dialogue.next_prompts(answer.masks if answer else None)
        with watch.time("predict"):
            if answer and protocol.feed_mask_back:
                prompts = prompts.with_mask_hint(answer.low_res)
            answer = ask(predictor, embedding, prompts, protocol.policy, dialogue.truths)
    assert answer is not None, "a protocol has at least one round"
    return dialogue, answer


def _measure(
    predictor: Predictor,
    embedding: Embedding,
    annotations: Sequence[Annotation],
    protocol: Protocol,
    watch: Stopwatch,
) -> list[InstanceResult]:
    dialogue, answer = converse(predictor, embedding, annotations, protocol, watch)
    with watch.time("score"):
        answers = zip(annotations, dialogue.truths, answer.masks, answer.iou, strict=True)
        return [score(annotation, truth, mask, float(iou)) for annotation, truth, mask, iou in answers]
