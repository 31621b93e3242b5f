"""Results → `report.json`. All IoUs are fractions, 0 to 1; None stands for "no such instance"."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samlet.errors import DataError
from samlet.evaluation.metrics.overlap import mean, mean_by_group, mean_by_size, size_counts
from samlet.evaluation.protocols.everything import PROPOSALS
from samlet.evaluation.results import ImageResult, InstanceResult
from samlet.files import make_folder, write_files
from samlet.reading import reading

REPORT_FILE = "report.json"
FORMAT = 1


def measure(results: Sequence[ImageResult]) -> dict[str, Any]:
    """The metrics of a run: means of IoU and boundary IoU over instances by size; mIoU per source and per category.

    The means over sources and over categories weigh each of them the same; without categories the latter is None.
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
        "average_recall": _average_recall([i for i in instances if i.recall]),
        "instances": size_counts([i.area_px for i in instances]),
        "detections": sum(len(result.detections) for result in results),
        "per_source": per_source,
        "mean_of_sources": mean(row["miou"] for row in per_source.values()),
        "per_category": per_category,
        "mean_of_categories": mean(row["miou"] for row in per_category.values()),
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


def build_report(
    results: Sequence[ImageResult],
    facts: Mapping[str, Any],
    average_precision: Mapping[str, float | None] | None = None,
) -> dict[str, Any]:
    """The whole report: `facts` (protocol, samples, model, weights, versions, machine), metrics, seconds per stage.

    Seconds are sums over images, as measured in the process that worked on each. `average_precision` is that of a
    detector's boxes; it is empty for other protocols.
    """
    stages = sorted({stage for result in results for stage in result.seconds})
    seconds = {stage: math.fsum(result.seconds.get(stage, 0.0) for result in results) for stage in stages}
    metrics = {**measure(results), "average_precision": dict(average_precision or {})}
    return {"format": FORMAT, **facts, "metrics": metrics, "images": len(results), "seconds": seconds}


def write_report(folder: Path, report: Mapping[str, Any]) -> Path:
    """Write `report.json` into the folder, whole or not at all, and return its path; OutputError where that fails."""
    path = make_folder(folder) / REPORT_FILE
    write_files({path: (json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode()})
    return path


def read_report(folder: Path) -> dict[str, Any]:
    """The report in a folder; DataError if there is none, or it is not one of this format."""
    path = folder / REPORT_FILE
    with reading(path, "a report of samlet eval"):
        report = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise DataError(f"{path} is not a report of samlet eval of format {FORMAT}.")
    return report
