"""Everything mode against segment_anything's order of operations: time and masks, side by side in one run.

    python benchmarks/everything.py --model FOLDER --name mobile-sam --checkpoint FILE PHOTO...
    python benchmarks/everything.py --points-per-side 16 --fast PHOTO...

The reference (torch, batches of 64) and ours run in turn on each photo, with the same weights. Prints a table and one
JSON line: seconds, their ratio, the share of the reference's masks with a counterpart at IoU 0.95 or more, the counts.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import cyclopts

from samlet.cli.machine import cpu_name, usable_cores
from samlet.cli.tables import print_table
from samlet.everything import MaskGenerator
from samlet.geometry.rle import iou_matrix
from samlet.images import read_image
from samlet.loading import load, load_module
from samlet.masks import MaskSet
from samlet.zoo import DEFAULT_MODEL

SAME_MASK = 0.95
PHOTOS = tuple(sorted((Path(__file__).parents[1] / "examples").glob("*.jpg")))
COLUMNS = (
    "reference (s)", "ours (s)", "ratio", "reference (cpu s)", "ours (cpu s)", "cpu ratio", "masks", "ours", "matched",
    "fast (s)", "fast (cpu s)", "fast recall",
)  # fmt: skip


def everything(
    *photos: Path,
    model: str = DEFAULT_MODEL,
    name: str = DEFAULT_MODEL,
    checkpoint: Path | None = None,
    backend: Literal["auto", "onnx", "openvino"] = "auto",
    points_per_side: int = 32,
    threads: int | None = None,
    fast: bool = False,
) -> None:
    """Measure everything mode on photos (default: the examples).

    Parameters
    ----------
    photos: image files.
    model: a name from `samlet models`, or an exported folder: what ours runs.
    name: the name of that model, and
    checkpoint: its weights for torch: what the reference runs; left out, only ours is timed.
    backend: what runs ours.
    points_per_side: of the grid of clicks.
    threads: of both; with 1 the processor's seconds tell the work alone, whatever else the machine does.
    fast: measure the coarse-to-fine mode too: its time, and its recall of the exact mode's masks.
    """
    predictor = load(model, backend=backend, threads=threads)
    ours = MaskGenerator(predictor, points_per_side=points_per_side)
    quick = MaskGenerator(predictor, points_per_side=points_per_side, fast=True)
    reference = None if checkpoint is None else _reference(name, checkpoint, points_per_side, threads)
    predictor.predict(predictor.embed(PHOTOS[0]), _warm_up())
    rows: list[dict[str, Any]] = []
    for photo in photos or PHOTOS:
        image = read_image(photo)
        row: dict[str, Any] = {"photo": photo.name, "size": f"{image.shape[1]} x {image.shape[0]}"}
        masks, row["ours (s)"], row["ours (cpu s)"] = _timed(lambda image=image: ours.generate(image))
        row["ours"] = len(masks)
        if fast:
            found, row["fast (s)"], row["fast (cpu s)"] = _timed(lambda image=image: quick.generate(image))
            row["fast recall"] = _matched(masks, found)
        if reference is not None:
            truth, row["reference (s)"], row["reference (cpu s)"] = _timed(lambda image=image: reference(image))
            row |= {"masks": len(truth), "ratio": row["reference (s)"] / row["ours (s)"]}
            row["cpu ratio"] = row["reference (cpu s)"] / row["ours (cpu s)"]
            row["matched"] = _matched(truth, masks)
        rows.append(row)
    _print(rows, {"model": str(model), "backend": predictor.backend.name, "points_per_side": points_per_side})


def _reference(name: str, checkpoint: Path, points_per_side: int, threads: int | None) -> Callable[[Any], MaskSet]:
    import torch

    from samlet.models.everything_reference import ReferenceGenerator

    if threads is not None:
        torch.set_num_threads(threads)
    return ReferenceGenerator(load_module(name, checkpoint), points_per_side).generate


def _warm_up() -> Any:
    from samlet.prompts import Prompts

    return Prompts.points([[10, 10]])


def _timed(run: Callable[[], MaskSet]) -> tuple[MaskSet, float, float]:
    """The masks, the seconds, and the processor's seconds, which other work on the machine hardly changes."""
    start, start_cpu = time.perf_counter(), time.process_time()
    masks = run()
    return masks, time.perf_counter() - start, time.process_time() - start_cpu


def _matched(wanted: MaskSet, found: MaskSet) -> float:
    """The share of the wanted masks of which one of the found is nearly a copy."""
    if not len(wanted):
        return 1.0
    overlap = iou_matrix([mask.rle for mask in wanted], [mask.rle for mask in found])
    return float((overlap.max(axis=1, initial=0) >= SAME_MASK).mean())


def _print(rows: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    columns = [column for column in COLUMNS if any(column in row for row in rows)]
    shown = [[row["photo"], row["size"], *(_cell(row.get(column)) for column in columns)] for row in rows]
    print_table([("photo", "left"), ("size", "right"), *((column, "right") for column in columns)], shown)
    facts |= {"machine": {"processor": cpu_name(), "usable_cores": usable_cores(), "load_average": os.getloadavg()[0]}}
    facts["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    ratios = [row["ratio"] for row in rows if "ratio" in row]
    facts["median_ratio"] = statistics.median(ratios) if ratios else None
    print(json.dumps(facts | {"photos": rows}))


def _cell(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    cyclopts.run(everything)
