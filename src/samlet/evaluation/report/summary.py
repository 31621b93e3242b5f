"""A run's metrics and facts as `report.json`. All IoUs are fractions, 0 to 1; None stands for "no such instance"."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samlet.errors import DataError
from samlet.evaluation.earlier import upgraded
from samlet.evaluation.metrics.means import measure
from samlet.evaluation.results import ImageResult
from samlet.files import make_folder, write_files
from samlet.reading import reading

REPORT_FILE = "report.json"
FORMAT = 1


def build_report(
    results: Sequence[ImageResult], facts: Mapping[str, Any], metrics: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The whole report: `facts` (protocol, samples, model, weights, versions, machine), metrics, seconds per stage.

    Seconds are sums over images, as measured in the process that worked on each. `metrics` are what the protocol
    aggregated; without them they are the means of the instances.
    """
    stages = sorted({stage for result in results for stage in result.seconds})
    seconds = {stage: math.fsum(result.seconds.get(stage, 0.0) for result in results) for stage in stages}
    metrics = measure(results) if metrics is None else metrics
    return {"format": FORMAT, **facts, "metrics": dict(metrics), "images": len(results), "seconds": seconds}


def write_report(folder: Path, report: Mapping[str, Any]) -> Path:
    """Write `report.json` into the folder, whole or not at all, and return its path; OutputError where that fails."""
    path = make_folder(folder) / REPORT_FILE
    write_files({path: (json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode()})
    return path


def read_report(folder: Path) -> dict[str, Any]:
    """The report in a folder, those of 0.1.0 as of today; DataError if there is none of this format."""
    path = folder / REPORT_FILE
    with reading(path, "a report of samlet eval"):
        report = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise DataError(f"{path} is not a report of samlet eval of format {FORMAT}.")
    return upgraded(report)


def measures_classes(report: dict[str, Any]) -> bool:
    """Whether a report is of classes and not of masks."""
    metrics = report.get("metrics")
    return isinstance(metrics, dict) and "per_class" in metrics
