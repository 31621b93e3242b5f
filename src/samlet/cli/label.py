"""`samlet label`: masks for any number of images, in shards; what was stopped or killed goes on where it was."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from samlet.cli.label_raster import label_raster
from samlet.cli.options.bounds import Between
from samlet.cli.options.engine import HERE, EngineOptions
from samlet.cli.options.everything import AS_THEY_ARE, EverythingOptions
from samlet.cli.options.model import THE_DEFAULT, ModelOptions
from samlet.cli.options.raster import NO_RASTER, RasterOptions
from samlet.cli.options.refining import RefineOption, SelectOption
from samlet.cli.progress import progress_bars
from samlet.cli.tables import megabytes, print_facts
from samlet.errors import InputError, PassedOverError

if TYPE_CHECKING:
    from rich.progress import Progress

    from samlet.candidates import Select
    from samlet.labeling.asking import Prompted
    from samlet.labeling.driver import Order
    from samlet.labeling.estimate import Estimate
    from samlet.labeling.items import Source
    from samlet.labeling.refining import Refined
    from samlet.labeling.status import Status
    from samlet.labeling.worker import ShardDone
    from samlet.predictor import Predictor
    from samlet.segmenting import Refine

WORKER_BYTES = 1 << 30  # what a worker takes beside its --memory-budget: model, runtime, images that wait
Question = Literal["everything", "prompts"]

app = App(name="label", help="Find masks in any number of images, restartable.", help_format="plaintext")


@app.default
def run(
    sources: Annotated[
        list[str],
        Parameter(
            help="Folders (with the folders inside), patterns such as 'day1/**/*.jpg', SA-1B shards (.tar), manifests "
            "(.parquet, .csv, .jsonl) or COCO files (.json), here or as URLs (s3://, gs://, https://)."
        ),
    ],
    /,
    *,
    output: Annotated[str, Parameter(help="Folder or s3:// URL of the results; a job that was stopped goes on there.")],
    format_: Annotated[
        Literal["parquet", "sa1b", "gpkg", "geojson"] | None,
        Parameter(
            name="--format",
            help="Tables, or SA-1B's tar shards with the photos; default: parquet. Of a raster gpkg or geojson; "
            "default: gpkg.",
        ),
    ] = None,
    ask: Annotated[
        Question | None,
        Parameter(
            help="everything: all things in each image; prompts: the boxes, points or masks that come with it. "
            "Default: prompts, if the first image has any."
        ),
    ] = None,
    images: Annotated[str, Parameter(help="Where the images of manifests and COCO files lie.")] = "",
    detections: Annotated[
        str, Parameter(help="What a detector found in the images of a COCO file, as COCO results (.json).")
    ] = "",
    former: Annotated[
        str | None, Parameter(help="Results of a former run, whose masks are asked for again in the same images.")
    ] = None,
    refine: RefineOption = "auto",
    select: SelectOption = "iou",
    how: EverythingOptions = AS_THEY_ARE,
    raster: RasterOptions = NO_RASTER,
    model: ModelOptions = THE_DEFAULT,
    images_per_shard: Annotated[
        int | None,
        Parameter(
            help="How much is done again at most where a worker dies; default: a 64th of all, at most 512 (in "
            "everything mode 32).",
            validator=Between(1, 100_000),
        ),
    ] = None,
    batch_size: Annotated[
        int,
        Parameter(help="Images encoded at once; default: 1. More feeds a GPU.", validator=Between(1, 1024)),
    ] = 1,
    workers: Annotated[
        int | None,
        Parameter(
            help="Processes, each with a model and --threads (default: 1); 0: this one alone. Default: one for each "
            "core, as far as memory goes; one on a GPU.",
            validator=Between(0, 1024),
        ),
    ] = None,
    where: EngineOptions = HERE,
    max_broken: Annotated[
        int,
        Parameter(help="Go on if at most so many images cannot be labeled; exit code 3.", validator=Between(0)),
    ] = 0,
    retry_broken: Annotated[bool, Parameter(help="Try shards again in which images could not be labeled.")] = False,
    dry_run: Annotated[bool, Parameter(help="Label 20 images, say what all would take, and write nothing.")] = False,
    machines: Annotated[
        int, Parameter(help="How many machines --dry-run also reckons with; default: 10.", validator=Between(1, 10**6))
    ] = 10,
    json_: Annotated[bool, Parameter(name="--json", help="Print the last status, or the plan, as JSON.")] = False,
) -> None:
    """Find masks in any number of images, on all cores or on a cluster, and keep them as Parquet.

    The output has masks/*.parquet (a row for each mask), images/*.parquet, quarantine/*.parquet (what could not be
    labeled, and why) and status.json. Stopped or killed at any moment, the same command goes on, and the result is the
    same to the byte. A changed model, setting or source is refused. `samlet label status OUTPUT` tells how far it is.
    With --window, or another option of rasters, the source is one raster, and the output its masks as polygons and as
    labels in its coordinates.
    """
    from dataclasses import replace

    from samlet.labeling.driver import counted, label
    from samlet.labeling.estimate import estimate
    from samlet.labeling.sources import open_sources

    if raster.is_given or format_ in ("gpkg", "geojson"):
        _refuse_of_photos({"--ask": ask, "--images": images, "--detections": detections, "--workers": workers,
                           "--images-per-shard": images_per_shard, "--retry-broken": retry_broken,
                           "--engine": where != HERE})  # fmt: skip
        vector, answering = _vector_format(format_), {"refine": refine, "select": select, "clean": how.clean}
        label_raster(sources, output, vector, raster, how, answering, model, dry_run, json_)
        return
    where.check(workers)
    prompted = _prompted(refine, select, how, former)
    order = _order(open_sources(sources, images, detections), ask, model, output, how, prompted, batch_size)
    order = replace(order, output=format_ or "parquet", images_per_shard=images_per_shard)
    threads = model.threads or 1
    if workers is None:
        workers = _default_workers(threads, how.memory_budget << 20, model.device)
    if dry_run:
        _print_estimate(estimate(order), max(workers, 1), threads, machines, json_)
        return
    engine = where.make(workers, threads)
    with progress_bars() as bars:
        status = label(order, engine, max_broken, retry_broken, _teller(bars))
    _print_status(status, output, json_)
    if status.done.broken:
        count = counted(status.done.broken)
        raise PassedOverError(f"{count} could not be labeled, see {output}/quarantine; all others are done.")


app.command("samlet.cli.label_export:export", name="export", help="Write a job's masks as COCO, labelme, YOLO, PNG.")


@app.command(name="status")
def show_status(
    output: Annotated[str, Parameter(help="Folder of a job's results.")],
    /,
    *,
    json_: Annotated[bool, Parameter(name="--json", help="Print it as JSON.")] = False,
) -> None:
    """Tell how far a job is, whether somebody works on it, and how fast.

    What is done is counted from what is committed; speed and seconds are those of the last run.
    """
    from dataclasses import replace

    from samlet.labeling.bucket import open_place
    from samlet.labeling.job import read_job
    from samlet.labeling.lease import holder
    from samlet.labeling.plan import make_plan
    from samlet.labeling.rasters.label import windows_done
    from samlet.labeling.status import Meter, read_status

    place = open_place(output)
    if (windows := windows_done(place)) is not None:
        _print_windows(*windows, output, json_, holder(place))
        return
    job = read_job(place)
    if job is None:
        raise InputError(f"{output} holds no job of samlet label.")
    done = make_plan(place, job).done
    status = read_status(place) or Meter(job.images, job.shards, 0).status("stopped")
    who = holder(place)
    if status.state == "running" and who is None:
        status = replace(status, state="stopped", message="it ended without a word: give its command again")
    _print_status(replace(status, done=done), output, json_, who)


def _refuse_of_photos(given: Mapping[str, object]) -> None:
    """InputError if one of these options was given, which a raster has no use for."""
    for name, value in given.items():
        if value not in (None, "", False):
            raise InputError(f"{name} is for photos, not for a raster: leave it, or the options of rasters.")


def _vector_format(given: str | None) -> Literal["gpkg", "geojson"]:
    if given in ("parquet", "sa1b"):
        raise InputError(f"--format {given} is for photos: a raster's masks are gpkg or geojson.")
    return "geojson" if given == "geojson" else "gpkg"


def _order(
    sources: list[Source],
    asked: Question | None,
    model: ModelOptions,
    output: str,
    how: EverythingOptions,
    prompted: Prompted | Refined,
    batch_size: int,
) -> Order:
    """What is wanted, with the model ready; all that its results depend on is settled here."""
    from samlet.files import check_folder
    from samlet.labeling.asking import Everything
    from samlet.labeling.bucket import open_place
    from samlet.labeling.driver import Order
    from samlet.labeling.job import ModelFacts
    from samlet.labeling.lease import check_free
    from samlet.labeling.places import Folder
    from samlet.labeling.refining import Refined

    first = next(iter(sources[0].items()), None)
    has_prompts = isinstance(prompted, Refined) or (first is not None and first.prompts is not None)
    if asked == "prompts" and not has_prompts:
        raise InputError(
            f"{sources[0].name} brings no prompts: give a manifest with boxes_xyxy or points_xy, a COCO file with "
            "--detections, the results of a --former run, or --ask everything."
        )
    place = open_place(output)
    if isinstance(place, Folder):
        check_folder(place.path)
    check_free(place)
    predictor, threads = _predictor(model)
    spec = predictor.spec
    everything = Everything(how.settled(spec), how.memory_budget << 20)
    ask = prompted if (asked or ("prompts" if has_prompts else "everything")) == "prompts" else everything
    backend = predictor.backend.name
    facts = ModelFacts(spec.name, predictor.weights, backend, model.device, model.precision, threads)
    return Order(tuple(sources), ask, predictor, facts, place, batch_size=batch_size)


def _predictor(model: ModelOptions) -> tuple[Predictor, int | None]:
    """The model as every worker runs it, and on how many threads; torch is told by its environment."""
    predictor = model.load()
    backend = predictor.backend.name
    if backend == "torch" or model.device not in (None, "cpu"):
        return predictor, model.threads
    threads = model.threads or 1
    return model.load(backend=backend, threads=threads), threads


def _prompted(refine: Refine, select: Select, how: EverythingOptions, former: str | None) -> Prompted | Refined:
    """What is asked where everything mode is not."""
    from samlet.labeling.asking import Prompted
    from samlet.labeling.bucket import open_place
    from samlet.labeling.refining import Refined

    prompted = Prompted(refine, how.clean, select)
    if former is None:
        return prompted
    refined = Refined(open_place(former), prompted)
    refined.to_json()  # which looks whether it is finished, before a model is loaded
    return refined


def _default_workers(threads: int, budget_bytes: int, device: str | None) -> int:
    """A worker for so many threads of each core that may be used, as far as they have memory; one for a GPU."""
    from samlet.cli.machine import memory_bytes
    from samlet.runtime.graphs import usable_cores

    if device not in (None, "cpu"):
        return 1
    cores = max(1, usable_cores() // threads)
    _, free_bytes = memory_bytes()
    return cores if free_bytes is None else max(1, min(cores, free_bytes // (WORKER_BYTES + budget_bytes)))


def _teller(bars: Progress) -> Callable[[ShardDone, Status], None]:
    """Moves a bar on a terminal; elsewhere prints a line for each shard."""
    from samlet.labeling.driver import shard_line

    task = bars.add_task("labeling", total=None)

    def tell(shard: ShardDone, status: Status) -> None:
        if bars.disable:
            print(shard_line(shard, status), file=sys.stderr, flush=True)
            return
        done = status.done
        broken = f", {done.broken} broken" if done.broken else ""
        words = f"{status.images_per_second or 0:.1f} images/s, {status.masks_per_image or 0:.1f} masks each{broken}"
        bars.update(task, total=status.images, completed=done.images + done.broken, description=words)

    return tell


def _print_status(status: Status, output: str, as_json: bool, who: str | None = None) -> None:
    """A job as it stands, as a table of two columns."""
    if as_json:
        print(json.dumps(status.to_json() | {"worked_on_by": who}))
        return
    done = status.done
    rows = [
        ("state", status.state + (f": {status.message}" if status.message else "")),
        *([("worked on by", who)] if who else []),
        ("images", f"{done.images:,} of {status.images:,}"),
        ("masks", f"{done.masks:,}" + (f", {status.masks_per_image} an image" if status.masks_per_image else "")),
        ("broken", f"{done.broken:,}" + (f", see {output}/quarantine" if done.broken else "")),
        ("shards", f"{done.shards:,} of {status.shards:,}"),
    ]
    if status.images_per_second:
        rows.append(("speed", f"{status.images_per_second:.2f} images/s, {status.workers} workers"))
        rows.append(("seconds", ", ".join(f"{stage} {spent:,.1f}" for stage, spent in status.seconds.items())))
    if status.state == "running" and status.eta_s is not None:
        rows.append(("left", f"{_duration(status.eta_s)}"))
    print_facts([*rows, ("output", output)])


def _print_windows(done: int, total: int, output: str, as_json: bool, who: str | None) -> None:
    """A raster as it stands."""
    if as_json:
        print(json.dumps({"windows_done": done, "windows": total, "worked_on_by": who}))
        return
    rows = [*([("worked on by", who)] if who else []), ("windows", f"{done:,} of {total:,}"), ("output", output)]
    print_facts(rows)


def _print_estimate(plan: Estimate, workers: int, threads: int, machines: int, as_json: bool) -> None:
    """What a job would take, on this machine and on so many like it."""
    from samlet.runtime.graphs import usable_cores

    cores = usable_cores()
    counts = sorted({1, machines})
    speeds = {count: plan.images_per_second(workers, cores, count) for count in counts}
    if as_json:
        hours = {str(count): plan.hours(workers, cores, count) for count in counts}
        more = {"workers": workers, "cores": cores, "images_per_second": speeds[1], "hours_on_machines": hours}
        print(json.dumps(plan.to_json() | more))
        return
    total = sum(plan.seconds_per_image.values())
    rows = [
        ("images", f"{plan.images:,} in {plan.shards:,} shards"),
        ("measured", f"{plan.sample} images, {plan.broken} broken" + (f": {plan.reason}" if plan.reason else "")),
        ("masks", f"{plan.masks_per_image:.1f} an image"),
        ("output", f"{_size(plan.bytes_out)}, {plan.bytes_per_image / 1e3:.1f} kB an image"),
        *(
            (stage, f"{seconds * 1e3:,.1f} ms an image, {seconds / total:.0%}")
            for stage, seconds in plan.seconds_per_image.items()
        ),
        ("bottleneck", plan.bottleneck),
    ]
    for count in counts:
        where = f"here ({workers} workers of {threads} threads)" if count == 1 else f"on {count:,} such machines"
        rows.append((where, f"{speeds[count]:,.2f} images/s, {_duration(plan.hours(workers, cores, count) * 3600)}"))
    print_facts(rows)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:,.1f} hours"


def _size(size_bytes: int) -> str:
    return megabytes(size_bytes) if size_bytes >= 1e7 else f"{size_bytes / 1e3:,.0f} kB"
