"""Results → `report.json`. All IoUs are fractions, 0 to 1; None stands for "no such instance"."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samlet.errors import DataError
from samlet.evaluation.metrics import mean, mean_by_size, mean_by_source, size_counts
from samlet.evaluation.results import ImageResult
from samlet.files import make_folder, write_files

REPORT_FILE = "report.json"
FORMAT = 1


def measure(results: Sequence[ImageResult]) -> dict[str, Any]:
    """The metrics of a run: mIoU over instances by size, per source, and the mean over sources."""
    true_ious = [instance.true_iou for result in results for instance in result.instances]
    areas_px = [instance.area_px for result in results for instance in result.instances]
    sources = [result.source for result in results for _ in result.instances]
    per_source = mean_by_source(true_ious, sources)
    return {
        "miou": mean_by_size(true_ious, areas_px),
        "instances": size_counts(areas_px),
        "per_source": {
            source: {"miou": miou, "instances": sources.count(source), "images": _images_of(source, results)}
            for source, miou in per_source.items()
        },
        "mean_of_sources": mean(per_source.values()),
    }


def build_report(results: Sequence[ImageResult], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The whole report: `facts` (protocol, samples, model, weights, versions, machine), metrics, seconds per stage.

    Seconds are sums over images, as measured in the process that worked on each.
    """
    stages = sorted({stage for result in results for stage in result.seconds})
    seconds = {stage: math.fsum(result.seconds.get(stage, 0.0) for result in results) for stage in stages}
    return {"format": FORMAT, **facts, "metrics": measure(results), "images": len(results), "seconds": seconds}


def write_report(folder: Path, report: Mapping[str, Any]) -> Path:
    """Write `report.json` into the folder, whole or not at all, and return its path; OutputError where that fails."""
    path = make_folder(folder) / REPORT_FILE
    write_files({path: (json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode()})
    return path


def read_report(folder: Path) -> dict[str, Any]:
    """The report in a folder; DataError if there is none, or it is not one of this format."""
    path = folder / REPORT_FILE
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a report of samlet eval ({error}).") from error
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise DataError(f"{path} is not a report of samlet eval of format {FORMAT}.")
    return report


def _images_of(source: str, results: Sequence[ImageResult]) -> int:
    return sum(result.source == source for result in results)
