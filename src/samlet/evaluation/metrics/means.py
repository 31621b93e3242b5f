"""The means of a run: over instances, by size, by source and by category. IoUs are fractions, 0 to 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from samlet.evaluation.metrics.overlap import mean, mean_by_group, mean_by_size, size_counts
from samlet.evaluation.metrics.recall import PROPOSALS
from samlet.evaluation.results import ImageResult, InstanceResult


def measure(results: Sequence[ImageResult]) -> dict[str, Any]:
    """The metrics of a run: means of IoU and boundary IoU over instances by size; mIoU per source and per category.

    The means over sources and over categories weigh each of them the same; without categories the latter is None.
    `pieces` are the connected parts of an answer, `true_pieces` those of the truth. `by_round` is the mIoU after each
    round of prompts, by source and as the mean of sources: lists, empty where there was one round.
    """
    instances = [instance for result in results for instance in result.instances]
    outlined = [instance for instance in instances if instance.boundary_iou is not None]
    per_source = _per_group([(result.source, i) for result in results for i in result.instances])
    per_category = _per_group([(i.category, i) for i in instances if i.category is not None])
    for source, row in per_source.items():
        row["images"] = sum(result.source == source for result in results)
    return {
        "miou": mean_by_size([i.true_iou for i in instances], [i.area_px for i in instances]),
        "boundary_miou": mean_by_size([i.boundary_iou or 0.0 for i in outlined], [i.area_px for i in outlined]),
        "boundary": _by_source(results, lambda instance: instance.boundary_iou),
        "pieces": _by_source(results, lambda instance: instance.pieces),
        "true_pieces": _by_source(results, lambda instance: instance.true_pieces),
        "by_round": _by_round(results),
        "average_precision": {},
        "average_recall": _average_recall([i for i in instances if i.recall]),
        "instances": size_counts([i.area_px for i in instances]),
        "detections": sum(len(result.detections) for result in results),
        "per_source": per_source,
        "mean_of_sources": mean(row["miou"] for row in per_source.values()),
        "per_category": per_category,
        "mean_of_categories": mean(row["miou"] for row in per_category.values()),
    }


def _by_source(
    results: Sequence[ImageResult], value: Callable[[InstanceResult], float | None]
) -> dict[str, dict[str, float | None] | float | None]:
    """Means of a value by size and by source, and the mean of sources; empty where a log of 0.1.0 lacks some values."""
    pairs = [(result.source, instance, value(instance)) for result in results for instance in result.instances]
    known = [(source, instance.area_px, float(number)) for source, instance, number in pairs if number is not None]
    if len(known) < len(pairs):
        known = []
    sources, areas_px, values = zip(*known, strict=True) if known else ((), (), ())
    per_source = mean_by_group(values, sources)
    return {
        "by_size": mean_by_size(values, areas_px),
        "per_source": {**per_source},
        "mean_of_sources": mean(per_source.values()),
    }


def _by_round(results: Sequence[ImageResult]) -> dict[str, Any]:
    several = [(result.source, i.by_round) for result in results for i in result.instances if i.by_round]
    sources, rounds = [source for source, _ in several], list(zip(*(values for _, values in several), strict=True))
    means = [mean_by_group(values, sources) for values in rounds]
    return {
        "per_source": {source: [of_round[source] for of_round in means] for source in sorted(set(sources))},
        "mean_of_sources": [mean(of_round.values()) for of_round in means],
    }


def _average_recall(instances: Sequence[InstanceResult]) -> dict[str, dict[str, float | None]]:
    """By how many masks of everything mode are looked at, then by size; empty for other protocols."""
    if not instances:
        return {}
    areas_px = [instance.area_px for instance in instances]
    recalls = zip(*(instance.recall for instance in instances), strict=True)
    return {str(most): mean_by_size(values, areas_px) for most, values in zip(PROPOSALS, recalls, strict=True)}


def _per_group(members: Sequence[tuple[str, InstanceResult]]) -> dict[str, dict[str, Any]]:
    """The mIoU of each group, and over how many instances."""
    names = [name for name, _ in members]
    counts = Counter(names)
    means = mean_by_group([instance.true_iou for _, instance in members], names)
    return {name: {"miou": miou, "instances": counts[name]} for name, miou in means.items()}
