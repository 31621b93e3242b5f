"""Where the single driver of `samlet label` ends, and what a billion images cost.

    python benchmarks/label_scale.py limits            listing, plan and memory of a driver
    python benchmarks/label_scale.py cost examples     core-hours, machines and storage, from photos labeled here

Each prints a table and one JSON line. CPU time is measured, not the clock, but for reading the plan; what is assumed
says so.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cyclopts
import pyarrow as pa

from samlet.cli.tables import print_table
from samlet.images import upright_size
from samlet.labeling import listing
from samlet.labeling.asking import Everything, Prompted
from samlet.labeling.driver import Order
from samlet.labeling.estimate import estimate
from samlet.labeling.items import Item, ObjectPrompt
from samlet.labeling.job import Job, ModelFacts
from samlet.labeling.places import Folder
from samlet.labeling.plan import MARKERS_AT_ONCE, SHARDS, make_plan
from samlet.labeling.results import shard_name
from samlet.labeling.runs import ROWS_OF_RUN
from samlet.labeling.sources.files import FolderSource
from samlet.labeling.sources.reading import ReadsItems
from samlet.loading import load
from samlet.runtime.cpu import cpu_name

app = cyclopts.App(help_format="plaintext")


@app.command
def limits(*, images: int = 200_000, json_only: bool = False) -> None:
    """Measure what a driver does for all images by itself, at `images`, and reckon what 10⁶ to 10⁹ would take."""
    with tempfile.TemporaryDirectory() as folder:
        place = Folder(Path(folder))
        measured = {**_of_listing(place, images), **_of_plan(place, _job(images))}
    sizes = (10**6, 10**7, 10**8, 10**9)
    shards = 512
    rows = [
        ("list the images", *(_time(measured["list_us_per_image"] * size) for size in sizes)),
        ("listing kept", *(_bytes(measured["kept_per_image"] * size) for size in sizes)),
        ("look at them again on a restart", *(_time(measured["digest_us_per_image"] * size) for size in sizes)),
        ("read the plan, local disk", *(_time(measured["plan_us_per_shard"] * size / shards) for size in sizes)),
        (
            f"read the plan, store of 20 ms, {MARKERS_AT_ONCE} at once",
            *(_time(20_000 * size / shards / MARKERS_AT_ONCE) for size in sizes),
        ),
    ]
    if not json_only:
        print(f"Measured with {images:,} images; shards of {shards} images.")
        print(f"Arrow held {measured['listing_peak_mb']:.0f} MB at most: rows are sorted in runs of {ROWS_OF_RUN:,}.\n")
        print_table((("", "left"), *((f"{size:.0e}", "right") for size in sizes)), rows)
    print(json.dumps(measured))


def _of_listing(place: Folder, images: int) -> dict[str, float]:
    """Time and room of listing so many images of a manifest with a box each, and of looking at them again."""
    source = _Numbers(images)
    pool = pa.default_memory_pool()
    before, began = pool.bytes_allocated(), time.process_time()
    listed = listing.Listing.of((source,))
    took = time.process_time() - began
    peak = pool.max_memory() - before
    listed.write(place, 512)
    kept = sum(path.stat().st_size for path in (place.path / listing.FOLDER).iterdir())
    began = time.process_time()
    listing.digest_of((source,))
    again = time.process_time() - began
    return {
        "list_us_per_image": took / images * 1e6,
        "listing_peak_mb": peak / 1e6,
        "kept_per_image": kept / images,
        "digest_us_per_image": again / images * 1e6,
    }


def _of_plan(place: Folder, job: Job) -> dict[str, float]:
    """Time of planning from the markers of a job that is done."""
    marker = json.dumps({"shard": 0, "images": 8, "masks": 8, "broken": 0, "files": {}}).encode()
    (place.path / SHARDS).mkdir()
    for number in range(job.shards):  # `place.write` would wait for the disk each time
        (place.path / SHARDS / f"{shard_name(number)}.json").write_bytes(marker)
    began = time.perf_counter()
    plan = make_plan(place, job)
    took = time.perf_counter() - began
    if plan.waiting:
        raise AssertionError("the plan has lost a marker")
    return {"plan_us_per_shard": took / job.shards * 1e6}


def _job(images: int) -> Job:
    """Of many small shards."""
    return Job(("numbers",), images, "", {}, ModelFacts("none", None, "none"), images_per_shard=8)


@dataclass(frozen=True)
class _Numbers(ReadsItems):
    """So many images that nobody has, in a store, a box each."""

    count: int
    name: str = "numbers"

    def items(self) -> Iterator[Item]:
        """In order of their ids."""
        box = (ObjectPrompt(box_xyxy=(10.0, 20.0, 300.0, 400.0)),)
        for number in range(self.count):
            yield Item(f"day/{number:010}.jpg", f"s3://bucket/photos/day/{number:010}.jpg", 250_000, "d41d8cd98f", box)


@app.command
def cost(
    photos: Path,
    *,
    cores: int = 64,
    days: float = 7.0,
    gpu_images_per_s: float | None = None,
    json_only: bool = False,
) -> None:
    """Label some of `photos` here, in one thread of the shipped model, and reckon what 10⁹ images would take.

    A machine has `cores` such cores; all is to be done in `days`. `gpu_images_per_s`, of one GPU, is an assumption.
    """
    predictor = load(threads=1)
    facts = ModelFacts(predictor.spec.name, predictor.weights, predictor.backend.name)
    plain = FolderSource(str(photos))
    orders = {
        "a box in each": Order((_Boxed(plain),), Prompted(), predictor, facts, Folder(photos)),
        "everything": Order((plain,), Everything(), predictor, facts, Folder(photos)),
    }
    found = {name: estimate(order) for name, order in orders.items()}
    if not json_only:
        rows = []
        for name, plan in found.items():
            core_h = plan.cpu_s * 1e9 / 3600
            machines = core_h / (cores * days * 24)
            out = plan.bytes_per_image * 1e9
            rows.append((name, f"{1 / plan.cpu_s:.2f} a core", f"{core_h:,.0f}", f"{machines:,.0f}", _bytes(out)))
        if gpu_images_per_s is not None:
            gpu_h = 1e9 / gpu_images_per_s / 3600
            rows.append(("a box in each, GPU (assumed)", f"{gpu_images_per_s:g} a GPU", f"{gpu_h:,.0f}", "", ""))
        print(f"10⁹ images, {cpu_name()}, {next(iter(found.values())).sample} photos measured\n")
        machines = f"machines of {cores} cores for {days:g} days"
        names = ("question", "images/s", "core-hours (GPU-hours)", machines, "results")
        print_table((("question", "left"), *((name, "right") for name in names[1:])), rows)
    print(json.dumps({name: plan.to_json() for name, plan in found.items()}))


@dataclass(frozen=True)
class _Boxed(ReadsItems):
    """The photos of a source, each with a box around its middle."""

    inner: FolderSource
    name: str = "boxed"

    def items(self) -> Iterator[Item]:
        """As the source has them."""
        for item in self.inner.items():
            height, width = upright_size(Path(item.path), item.path)
            box = (width / 4, height / 4, width * 3 / 4, height * 3 / 4)
            yield replace(item, prompts=(ObjectPrompt(box_xyxy=box),))


def _time(microseconds: float) -> str:
    seconds = microseconds / 1e6
    return f"{seconds:,.1f} s" if seconds < 600 else f"{seconds / 3600:,.1f} h"


def _bytes(count: float) -> str:
    return (
        f"{count / 1e6:,.0f} MB"
        if count < 1e9
        else f"{count / 1e9:,.0f} GB"
        if count < 1e12
        else f"{count / 1e12:,.1f} TB"
    )


if __name__ == "__main__":
    app()
