"""`samlet eval`: how good a model's masks are, measured like the papers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from samlet.cli.options.model import THE_DEFAULT, ModelOptions
from samlet.cli.progress import progress_bars

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress
    from rich.table import Table

    from samlet.data import Sample
    from samlet.evaluation import ImageResult, Protocol, ResultLog
    from samlet.evaluation.report.compare import Difference, Row
    from samlet.predictor import Predictor

app = App(name="eval", help="Measure how good a model's masks are, like the papers.", help_format="plaintext")


@app.default
def run(
    *,
    data: Annotated[
        list[Path],
        Parameter(
            help="Folders of images with SA-1B records (NAME.jpg + NAME.json), SA-1B shards (.tar), or COCO and LVIS "
            "annotations (.json, with --images).",
            negative=(),
            consume_multiple=True,
        ),
    ],
    output: Annotated[Path, Parameter(help="Folder for the report; a run that was stopped goes on there.")],
    protocol: Annotated[
        Literal["box", "point", "center", "everything", "box_from_detector"],
        Parameter(
            help="First prompt: the true box, RITM's click (EfficientViT-SAM), or the mask center (EdgeSAM); or "
            "everything mode, whose recall is measured; or the boxes of --detections, for COCO's or LVIS's AP."
        ),
    ] = "box",
    images: Annotated[
        Path | None, Parameter(help="Folder of the images a .json lists, or of COCO's train2017 and val2017.")
    ] = None,
    allow_missing: Annotated[int, Parameter(help="Go on if at most so many images are missing.")] = 0,
    detections: Annotated[
        Path | None, Parameter(help="What a detector found, as COCO results (.json), for box_from_detector.")
    ] = None,
    crowds: Annotated[
        bool,
        Parameter(
            help="Measure crowd annotations too, as EfficientViT-SAM does and EdgeSAM does not.",
            negative="--no-crowds",
        ),
    ] = True,
    clicks: Annotated[
        int | None, Parameter(help="Clicks in all (point, center; default 1), or corrections after a box (default 0).")
    ] = None,
    policy: Annotated[
        Literal["best", "first", "stability", "oracle"],
        Parameter(
            help="Which mask counts: best predicted IoU, the single-mask answer, most stable, nearest to the truth."
        ),
    ] = "best",
    feed_mask_back: Annotated[bool, Parameter(help="Each click also sees the mask before.", negative=())] = False,
    model: ModelOptions = THE_DEFAULT,
    workers: Annotated[
        int | None,
        Parameter(
            help="Measure with so many processes of one thread each; the numbers stay the same.",
            validator=Number(gte=1),
        ),
    ] = None,
    limit: Annotated[int | None, Parameter(help="At most so many images, spread evenly over the data.")] = None,
    max_masks_per_image: Annotated[
        int | None, Parameter(help="At most so many masks of an image, always the same.")
    ] = None,
) -> None:
    """Prompt every annotated mask, compare the answer with it, and write report.json and report.html under --output.

    A run that was stopped goes on where it stopped when the same command is given again. Under `torchrun --no-python`
    each process measures a share of the images, and the last to finish writes the report; if none did, because one was
    stopped, the same command with or without torchrun does the rest.
    """
    from functools import partial

    from samlet import loading
    from samlet.data import open_data
    from samlet.evaluation import Protocol, ResultLog, Share, detected, left_out, select
    from samlet.evaluation.protocols.protocol import default_clicks

    how = Protocol(protocol, default_clicks(protocol) if clicks is None else clicks, policy, feed_mask_back)
    if how.start == "box_from_detector":
        _check_no_choice(max_masks_per_image, crowds)
    opened = open_data(data, images, allow_missing)
    if how.start == "box_from_detector" or detections:
        samples, truth = detected(opened.samples, how, data, detections, limit)
    else:
        samples, truth = select(opened.samples, limit, max_masks_per_image, crowds), None
    share = Share.from_environment()
    chosen: dict[str, Any] = {"device": share.device(model.device)}
    predictor = model.load(**chosen)
    if predictor.backend.name != "torch" and model.threads is None:  # torch's are set before it starts
        chosen["threads"] = 1
    load = partial(loading.load, **(model.arguments() | chosen))
    facts = _facts(predictor, model, how, samples)
    log = ResultLog(output / share.log_name, facts)
    start = time.perf_counter()
    _measure(predictor if share.of == 1 else None, load, workers, share.take(samples), how, log)
    results = log.gather([sample.name for sample in samples])
    if results is None:
        print(f"The share of process {share.rank} is measured; the last of the {share.of} writes the report.")
        return
    facts["left_out"] = {} if truth else left_out(opened.samples, crowds)
    facts["missing_images"] = opened.missing
    facts["seconds_this_run"] = round(time.perf_counter() - start, 3)
    average_precision = truth.measure(samples, results) if truth else None
    report = _write_report(predictor, samples, how, results, average_precision, facts, output)
    _print_report(report, output)


@app.command(name="compare")
def compare_reports(
    folders: Annotated[list[Path], Parameter(help="What samlet eval wrote; the first is compared with.", negative=())],
    /,
) -> None:
    """Put reports of the same measurement side by side, with 95 % intervals of the difference to the first.

    Intervals are a paired bootstrap over images, drawn within each source. Average precision has none.
    """
    from samlet.cli.tables import print_table
    from samlet.evaluation.report.compare import compare

    compared = compare(folders)
    cells = [_compared_cells(row) for row in compared]
    rows = [
        [f"{row.folder} ({row.report['model']}, {row.report['backend']})", *(text for _, text in row_cells)]
        for row, row_cells in zip(compared, cells, strict=True)
    ]
    print_table([("report", "left"), *((heading, "right") for heading, _ in cells[0])], rows)
    if compared[0].report["metrics"]["average_precision"]:
        print("Intervals: n/a, because average precision ranks the detections of all images and is no mean over them.")


def _compared_cells(row: Row) -> list[tuple[str, str]]:
    """Headings and texts of one report in the comparison."""
    metrics = row.report["metrics"]
    if metrics["average_precision"]:
        return [(kind, _percent(value)) for kind, value in metrics["average_precision"].items()]
    cells = [
        ("mIoU", _percent(metrics["miou"]["all"])),
        ("difference", _points(row.miou)),
        ("mean of sources", _percent(metrics["mean_of_sources"])),
        ("difference", _points(row.mean_of_sources)),
    ]
    for index, (most, recalls) in enumerate(metrics["average_recall"].items()):
        difference = row.recall[index] if row.recall else None
        cells += [(f"recall of {most}", _percent(recalls["all"])), ("difference", _points(difference))]
    return cells


def _measure(
    predictor: Predictor | None,
    load: Callable[[], Predictor],
    workers: int | None,
    samples: list[Sample],
    protocol: Protocol,
    log: ResultLog,
) -> None:
    """Measure what the log does not hold yet: with a predictor, with a loaded one, or with one in each worker."""
    from samlet.evaluation import evaluate
    from samlet.evaluation.workers import evaluate_in_processes

    with progress_bars(kept=True, shown=True) as progress:
        bar = RunningScore(progress, [log[sample.name] for sample in samples if sample.name in log], len(samples))
        if workers is None:
            evaluate(predictor or load(), samples, protocol, log, bar.add)
        else:
            evaluate_in_processes(load, workers, samples, protocol, log, bar.add)


def _check_no_choice(max_masks_per_image: int | None, crowds: bool) -> None:
    """InputError for options that choose among annotated masks, where none of them is prompted."""
    from samlet.errors import InputError

    if max_masks_per_image is not None or not crowds:
        raise InputError(
            "--max-masks-per-image and --no-crowds choose among annotated masks, but box_from_detector prompts every "
            "box of --detections: leave them out (a crowd never counts against average precision)."
        )


def _facts(predictor: Predictor, model: ModelOptions, protocol: Protocol, samples: list[Sample]) -> dict[str, Any]:
    """What makes two runs the same measurement."""
    from samlet.evaluation import hash_of
    from samlet.evaluation.provenance import weights_hash

    return {
        "protocol": protocol.to_json(),
        "model": predictor.spec.name,
        "backend": predictor.backend.name,
        "weights_sha256": weights_hash(predictor, model.model, model.checkpoint),
        "samples_sha256": hash_of(samples),
    }


def _write_report(
    predictor: Predictor,
    samples: list[Sample],
    protocol: Protocol,
    results: list[ImageResult],
    average_precision: dict[str, float | None] | None,
    facts: dict[str, Any],
    output: Path,
) -> dict[str, Any]:
    from samlet.evaluation import build_report, write_report
    from samlet.evaluation.provenance import machine, versions
    from samlet.evaluation.report.page import write_page
    from samlet.evaluation.report.pictures import draw

    report = build_report(results, {**facts, "versions": versions(), "machine": machine()}, average_precision)
    write_report(output, report)
    write_page(output, report, results, *draw(predictor, samples, results, protocol))
    return report


class RunningScore:
    """A progress bar with the mIoU of the instances measured so far, those of an earlier run included."""

    def __init__(self, progress: Progress, earlier: list[ImageResult], total: int) -> None:
        self._progress = progress
        self._sum, self._count = 0.0, 0
        self._task = progress.add_task("mIoU –", total=total)
        for result in earlier:
            self.add(result)

    def add(self, result: ImageResult) -> None:
        """Count one image."""
        self._sum += sum(instance.true_iou for instance in result.instances)
        self._count += len(result.instances)
        # a detector's boxes have no truth
        score = f"mIoU {self._sum / self._count:.1%}" if self._count else "measuring"
        self._progress.update(self._task, advance=1, description=score)


def _print_report(report: dict[str, Any], output: Path) -> None:
    from rich.console import Console

    from samlet.evaluation.report.page import PAGE_FILE
    from samlet.evaluation.report.summary import REPORT_FILE

    metrics = report["metrics"]
    Console().print(_precision_table(metrics) if metrics["average_precision"] else _iou_table(metrics))
    for reason, count in report["left_out"].items():
        if count:
            print(f"left out: {count:,} ({reason})")
    if report["missing_images"]:
        print(f"missing: {len(report['missing_images']):,} images, the first is {report['missing_images'][0]}")
    print(output / REPORT_FILE, output / PAGE_FILE, sep="\n")


def _precision_table(metrics: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(f"{metrics['detections']:,} detections")
    table.add_column("AP", justify="right")
    for kind, precision in metrics["average_precision"].items():
        table.add_row(kind, _percent(precision))
    return table


def _iou_table(metrics: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("", "mIoU", "boundary", "instances"):
        table.add_column(heading, justify="left" if not heading else "right")
    for size, miou in metrics["miou"].items():
        boundary_miou = metrics["boundary_miou"][size]
        table.add_row(size, _percent(miou), _percent(boundary_miou), f"{metrics['instances'][size]:,}")
    for most, recalls in metrics["average_recall"].items():
        table.add_row(f"average recall of {most}", _percent(recalls["all"]), "", f"{metrics['instances']['all']:,}")
    for source, row in metrics["per_source"].items():
        table.add_row(f"source {source}", _percent(row["miou"]), "", f"{row['instances']:,}")
    table.add_row("mean of sources", _percent(metrics["mean_of_sources"]), "", "", style="bold")
    if metrics["per_category"]:
        categories = f"mean of {len(metrics['per_category'])} categories"
        table.add_row(categories, _percent(metrics["mean_of_categories"]), "", "")
    return table


def _points(difference: Difference | None) -> str:
    """A difference in percentage points with its interval."""
    if difference is None:
        return ""
    value, low, high = (100 * number for number in (difference.value, difference.low, difference.high))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1%}"
