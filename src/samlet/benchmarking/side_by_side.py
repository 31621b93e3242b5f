"""Everything mode against segment_anything's own order of operations: time, memory and masks, photo by photo in turn.

Each of the two is in a process of its own, which waits while the other works.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from samlet.benchmarking.processes import Worker, peak_memory_mb
from samlet.benchmarking.steps import photo_facts
from samlet.benchmarking.target import Target, artifact_of, opened
from samlet.everything import MaskGenerator
from samlet.extras import import_with_extra
from samlet.geometry.rle import Rle, iou_matrix
from samlet.images import read_image
from samlet.loading import cached_weights, load_module
from samlet.masks import MaskSet
from samlet.models.registry import get_spec
from samlet.runtime.artifact import read_manifest

SAME_MASK = 0.95  # IoU


@dataclass(frozen=True)
class Reference:
    """Meta's order of operations over a model of the registry in torch, with the weights of `checkpoint`."""

    model: str
    checkpoint: Path


@dataclass(frozen=True)
class Found:
    """The masks of a photo, how long they took, and the most memory the process has held so far.

    `cpu_seconds` are the processor's, summed over its threads: other work on the machine hardly changes them.
    """

    codes: list[Rle]
    seconds: float
    cpu_seconds: float
    peak_memory_mb: float | None

    def to_json(self) -> dict[str, Any]:
        """All but the masks themselves."""
        return {
            "masks": len(self.codes),
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "peak_memory_mb": self.peak_memory_mb,
        }


def compare(
    target: Target,
    photos: Sequence[Path],
    points_per_side: int,
    *,
    reference: Reference | None = None,
    fast: bool = False,
) -> Iterator[dict[str, Any]]:
    """For each photo what "ours" found and, where asked for, "fast" and the "reference", each beside another's masks.

    `ratio`: how many times faster than the reference. `matched`: the share of the reference's masks of which ours has
    nearly a copy; `recall`: of ours that fast mode has. Errors of loading, ImageError.
    """
    with Worker(target.threads) as our_worker, Worker(target.threads) as their_worker:
        for photo in photos:
            row: dict[str, Any] = photo_facts(photo)
            ours = our_worker.call(find, target, photo, points_per_side)
            row["ours"] = ours.to_json()
            if fast:
                quick = our_worker.call(find, target, photo, points_per_side, fast=True)
                row["fast"] = quick.to_json() | {"recall": matched(ours.codes, quick.codes)}
            if reference is not None:
                theirs = their_worker.call(find_by_reference, reference, photo, points_per_side)
                row["reference"] = theirs.to_json()
                row["ratio"] = theirs.seconds / ours.seconds
                row["cpu_ratio"] = theirs.cpu_seconds / ours.cpu_seconds
                row["matched"] = matched(theirs.codes, ours.codes)
            yield row


def total(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Rows of `compare` as one: sums of masks and seconds, shares of all masks, the most memory."""
    whole: dict[str, Any] = {}
    for way in ("ours", "fast", "reference"):
        found = [row[way] for row in rows if way in row]
        if found:
            whole[way] = {key: sum(each[key] for each in found) for key in ("masks", "seconds", "cpu_seconds")}
            whole[way]["peak_memory_mb"] = max(each["peak_memory_mb"] or 0 for each in found) or None
    if "fast" in whole:
        shares = [(row["fast"]["recall"], row["ours"]["masks"]) for row in rows]
        whole["fast"]["recall"] = _weighted(shares)
    if "reference" in whole:
        whole["ratio"] = whole["reference"]["seconds"] / whole["ours"]["seconds"]
        whole["cpu_ratio"] = whole["reference"]["cpu_seconds"] / whole["ours"]["cpu_seconds"]
        whole["matched"] = _weighted([(row["matched"], row["reference"]["masks"]) for row in rows])
    return whole


def _weighted(shares: Sequence[tuple[float | None, int]]) -> float | None:
    """The share of all masks, from that of each photo and its number of masks."""
    masks = sum(count for _, count in shares)
    return sum((share or 0.0) * count for share, count in shares) / masks if masks else None


def reference_of(model: str, checkpoint: Path | None = None) -> Reference:
    """The reference for a model or an artifact folder; without a checkpoint the downloaded weights of that model.

    WeightsError if they are not here.
    """
    artifact = artifact_of(model)
    spec = get_spec(model if artifact is None else str(read_manifest(artifact).get("name")))
    return Reference(spec.name, cached_weights(spec) if checkpoint is None else checkpoint)


def find(target: Target, photo: Path, points_per_side: int, *, fast: bool = False) -> Found:
    """Our everything mode, after a single click that is not counted."""
    predictor = opened(target)
    return _found(lambda side: MaskGenerator(predictor, side, fast=fast), points_per_side, photo)


def find_by_reference(reference: Reference, photo: Path, points_per_side: int) -> Found:
    """The reference, after a single click that is not counted. Raises MissingExtraError, CheckpointError."""
    everything = import_with_extra("samlet.benchmarking.reference.everything", "torch", "The reference")
    module = _module(reference)
    return _found(lambda side: everything.ReferenceGenerator(module, side), points_per_side, photo)


def matched(wanted: Sequence[Rle], found: Sequence[Rle]) -> float | None:
    """The share of the wanted masks of which one of the found is nearly a copy; None if none is wanted."""
    if not wanted:
        return None
    return float((iou_matrix(wanted, found).max(axis=1, initial=0) >= SAME_MASK).mean())


@cache
def _module(reference: Reference) -> Any:
    return load_module(reference.model, reference.checkpoint, task="promptable")


def _found(generator: Callable[[int], Any], points_per_side: int, photo: Path) -> Found:
    image = read_image(photo)
    generator(1).generate(image)
    generate = generator(points_per_side).generate
    start, start_cpu = time.perf_counter(), time.process_time()
    masks: MaskSet = generate(image)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
    return Found([mask.rle for mask in masks], seconds, cpu_seconds, peak_memory_mb())
