"""`samlet eval`: how good a model's masks are, measured like the papers."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from samlet.cli.options.bounds import Between
from samlet.cli.options.model import THE_DEFAULT, ModelOptions
from samlet.cli.options.places import folder_to_write
from samlet.cli.progress import progress_bars
from samlet.evaluation.protocols.registry import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress

    from samlet.data import Sample
    from samlet.data.broken import Broken
    from samlet.evaluation import EvaluationProtocol, ImageResult, ResultLog, Selection
    from samlet.evaluation.report.compare import Difference, Row
    from samlet.evaluation.report.compare_classes import ClassRow
    from samlet.evaluation.report.page import Made
    from samlet.predictor import Predictor

_NAMED = 5  # of the images that could not be read

app = App(name="eval", help="Measure how good a model's masks are, like the papers.", help_format="plaintext")


@app.default
def run(
    *,
    data: Annotated[
        list[Path],
        Parameter(
            help="Folders of images with SA-1B records (NAME.jpg + NAME.json), SA-1B shards (.tar), or COCO and LVIS "
            "annotations (.json, with --images). Classification: a folder with a folder for each class, or a .csv. "
            "Semantic: a folder with images, labels and classes.txt, or the root of Cityscapes or ADE20K (its val).",
            negative=(),
            consume_multiple=True,
        ),
    ],
    output: Annotated[
        Path, Parameter(help="Folder for the report; a run that was stopped goes on there.", validator=folder_to_write)
    ],
    protocol: Annotated[
        str, Parameter(help="What the model is given: " + "; ".join(f"{name}: {what}" for name, _, what in PROTOCOLS))
    ] = "box",
    images: Annotated[
        Path | None, Parameter(help="Folder of the images a .json or .csv lists, or of COCO's train2017 and val2017.")
    ] = None,
    allow_missing: Annotated[
        int, Parameter(help="Go on if at most so many images are missing.", validator=Between(0))
    ] = 0,
    max_broken: Annotated[
        int,
        Parameter(help="Pass over at most so many images that cannot be read; exit code 3.", validator=Between(0)),
    ] = 0,
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
        int | None,
        Parameter(
            help="Clicks in all (point, center; default 1), or corrections after a box (default 0).",
            validator=Between(0, 100),
        ),
    ] = None,
    select: Annotated[
        Literal["iou", "stability", "single", "multimask", "oracle", "best", "first"] | None,
        Parameter(
            name=("--select", "--policy"),
            help="Which mask counts: iou = as `samlet segment` chooses (the default), stability = the most stable, "
            "single, multimask = always the best of the three by predicted IoU, oracle = of those the nearest to the "
            "truth. In 0.1.0, best and first meant multimask (or iou) and single.",
            show_choices=False,
        ),
    ] = None,
    feed_mask_back: Annotated[bool, Parameter(help="Each click also sees the mask before.", negative=())] = False,
    refine: Annotated[
        Literal["auto", "none", "edges", "look"] | None,
        Parameter(help="Measure the clean masks of `samlet segment`, refined so, and not the network's own answers."),
    ] = None,
    window: Annotated[
        int | None,
        Parameter(help="Semantic: look at images in their own size, through windows of so many pixels."),
    ] = None,
    model: ModelOptions = THE_DEFAULT,
    workers: Annotated[
        int | None,
        Parameter(
            help="Measure with so many processes of one thread each; the numbers stay the same.",
            validator=Between(1, 1024),
        ),
    ] = None,
    limit: Annotated[
        int | None, Parameter(help="At most so many images, spread evenly over the data.", validator=Between(1))
    ] = None,
    max_masks_per_image: Annotated[
        int | None, Parameter(help="At most so many masks of an image, always the same.", validator=Between(1))
    ] = None,
) -> None:
    """Ask a model about every image, compare its answers with the truth, and write report.json and report.html.

    A run that was stopped goes on where it stopped when the same command is given again. Under `torchrun --no-python`
    each process measures a share of the images, and the last to finish writes the report; if none did, because one was
    stopped, the same command with or without torchrun does the rest.
    """
    from dataclasses import replace
    from functools import partial

    from samlet.data import open_data
    from samlet.data.broken import Broken
    from samlet.data.class_data import open_class_data
    from samlet.data.classes import ClassData
    from samlet.evaluation import Scope, make_protocol
    from samlet.evaluation.report.place import check_place

    asked = {
        "clicks": clicks,
        "select": select,
        "feed_mask_back": feed_mask_back or None,
        "refine": refine,
        "window": window,
    }
    how = make_protocol(protocol, **{option: value for option, value in asked.items() if value is not None})
    scope = Scope(tuple(data), detections, limit, max_masks_per_image, crowds)
    how.check(scope)
    _check_task(how, model)
    check_place(output)
    tell = partial(print, file=sys.stderr)
    broken = Broken(max_broken, tell)
    if how.task == "promptable":
        opened = open_data(data, images, allow_missing, broken, tell=tell)
    else:
        kind = "classes" if how.task == "classification" else "class maps"
        opened = open_class_data(data, kind, "val", images, allow_missing)
    selection = how.choose(opened.samples, scope)
    if isinstance(opened, ClassData):
        selection = replace(selection, truth=opened.classes)
    _run(how, selection, model, workers, broken, {"missing_images": list(opened.missing)}, data, output)


def _check_task(how: EvaluationProtocol, model: ModelOptions) -> None:
    """InputError if the protocol asks a model of another task, with the protocols that fit."""
    from samlet.errors import InputError
    from samlet.evaluation.protocols.registry import protocols_for

    spec = model.spec()
    if spec.task != how.task and model.model is None and model.checkpoint is None:
        raise InputError(f"Protocol {how.name} asks a model for {how.task.replace('_', ' ')}: name one with --model.")
    if spec.task != how.task:
        what = f"{spec.name} is a model for {spec.task.replace('_', ' ')}"
        fitting = ", ".join(protocols_for(spec.task)) or "none so far"
        raise InputError(f"{what}, which {how.name} does not ask: use --protocol {fitting}.")


def _run(
    how: EvaluationProtocol,
    selection: Selection,
    model: ModelOptions,
    workers: int | None,
    broken: Broken,
    opened: dict[str, Any],
    data: list[Path],
    output: Path,
) -> None:
    """Measure this process's share; with the last one, write the report, to which `opened` adds facts of the data."""
    from dataclasses import replace
    from functools import partial

    from samlet import loading
    from samlet.evaluation import ResultLog, Share
    from samlet.evaluation.matching_classes import in_classes_of_model

    share = Share.from_environment()
    chosen: dict[str, Any] = {"device": share.device(model.device), "task": how.task}
    predictor: Any = model.load(**chosen)
    if predictor.spec.classes is not None:
        selection = in_classes_of_model(selection, predictor.spec.classes.names)
    samples = selection.samples
    if predictor.backend.name != "torch" and model.threads is None:  # torch's are set before it starts
        chosen["threads"] = 1
    load = partial(loading.load, **(model.arguments() | chosen))
    facts = _facts(predictor, model, how, samples)
    log = ResultLog(output / share.log_name, facts)
    start = time.perf_counter()
    _measure(predictor if share.of == 1 else None, load, workers, share.take(samples), how, log, broken)
    results = log.gather([sample.name for sample in samples])
    if results is None:
        print(f"The share of process {share.rank} is measured; the last of the {share.of} writes the report.")
        return
    passed_over = sorted(broken.reasons | log.broken([sample.name for sample in samples]))
    seconds = round(time.perf_counter() - start, 3)
    facts |= {"left_out": dict(selection.left_out), "broken_images": passed_over, **opened, "seconds_this_run": seconds}
    measured = replace(selection, samples=[sample for sample in samples if sample.name in log])
    report = _write_report(predictor, measured, how, results, facts, data, output)
    _print_report(report, how, output)
    _check_all_were_read(passed_over)


@app.command(name="compare")
def compare_reports(
    folders: Annotated[list[Path], Parameter(help="What samlet eval wrote; the first is compared with.", negative=())],
    /,
) -> None:
    """Put reports of the same measurement side by side, with 95 % intervals of the difference to the first.

    Intervals are a paired bootstrap over images, drawn within each source. Average precision has none.
    """
    from samlet.cli.tables import print_table
    from samlet.evaluation import read_report
    from samlet.evaluation.report.compare import compare
    from samlet.evaluation.report.compare_classes import compare_classes
    from samlet.evaluation.report.summary import measures_classes

    if folders and measures_classes(read_report(folders[0])):
        _print_classes(compare_classes(folders))
        return
    compared = compare(folders)
    cells = [_compared_cells(row) for row in compared]
    rows = [
        [f"{row.folder} ({row.report['model']}, {row.report['backend']})", *(text for _, text in row_cells)]
        for row, row_cells in zip(compared, cells, strict=True)
    ]
    print_table([("report", "left"), *((heading, "right") for heading, _ in cells[0])], rows)
    if compared[0].report["metrics"]["average_precision"]:
        print("Intervals: n/a, because average precision ranks the detections of all images and is no mean over them.")


def _print_classes(rows: list[ClassRow]) -> None:
    from samlet.cli.tables import print_table
    from samlet.evaluation.tables import percent

    cells = [
        (f"{row.folder} ({row.report['model']}, {row.report['backend']})", percent(row.value), _points(row.difference))
        for row in rows
    ]
    print_table([("report", "left"), (rows[0].metric, "right"), ("difference", "right")], cells)


def _compared_cells(row: Row) -> list[tuple[str, str]]:
    """Headings and texts of one report in the comparison."""
    from samlet.evaluation.tables import percent

    metrics = row.report["metrics"]
    if metrics["average_precision"]:
        return [(kind, percent(value)) for kind, value in metrics["average_precision"].items()]
    cells = [
        ("mIoU", percent(metrics["miou"]["all"])),
        ("difference", _points(row.miou)),
        ("mean of sources", percent(metrics["mean_of_sources"])),
        ("difference", _points(row.mean_of_sources)),
    ]
    for index, (most, recalls) in enumerate(metrics["average_recall"].items()):
        difference = row.recall[index] if row.recall else None
        cells += [(f"recall of {most}", percent(recalls["all"])), ("difference", _points(difference))]
    return cells


def _measure(
    predictor: Predictor | None,
    load: Callable[[], Predictor],
    workers: int | None,
    samples: list[Sample],
    protocol: EvaluationProtocol,
    log: ResultLog,
    broken: Broken,
) -> None:
    """Measure what the log does not hold yet: with a predictor, with a loaded one, or with one in each worker."""
    from samlet.evaluation import evaluate
    from samlet.evaluation.workers import evaluate_in_processes

    with progress_bars(kept=True, shown=True) as progress:
        earlier = [log[sample.name] for sample in samples if sample.name in log]
        bar = RunningScore(progress, protocol, earlier, len(samples))
        if workers is None:
            evaluate(predictor or load(), samples, protocol, log, bar.add, broken)
        else:
            evaluate_in_processes(load, workers, samples, protocol, log, bar.add, broken)


def _facts(
    predictor: Predictor, model: ModelOptions, protocol: EvaluationProtocol, samples: list[Sample]
) -> dict[str, Any]:
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
    selection: Selection,
    protocol: EvaluationProtocol,
    results: list[ImageResult],
    facts: dict[str, Any],
    data: list[Path],
    output: Path,
) -> dict[str, Any]:
    from samlet.evaluation import build_report, write_report
    from samlet.evaluation.provenance import machine, versions
    from samlet.evaluation.report.page import write_page
    from samlet.evaluation.report.pictures import draw

    facts = {**facts, "versions": versions(), "machine": machine()}
    report = build_report(results, facts, protocol.aggregate(results, selection))
    write_report(output, report)
    best, worst = draw(predictor, selection.samples, results, protocol)
    write_page(output, report, results, best, worst, _made(data))
    return report


def _check_all_were_read(passed_over: list[str]) -> None:
    from samlet.errors import PassedOverError

    if passed_over:
        names = ", ".join(passed_over[:_NAMED]) + (", …" if len(passed_over) > _NAMED else "")
        count = f"{len(passed_over)} item{'s' if len(passed_over) > 1 else ''}"  # images, and records of annotations
        raise PassedOverError(f"{count} could not be read ({names}); all others are measured.")


def _made(data: list[Path]) -> Made:
    from datetime import datetime

    from samlet.evaluation.report.page import Made

    # Only as typed: who calls `main` with words of his own has no command line to show.
    words = tuple(map(shlex.quote, ["samlet", *sys.argv[1:]])) if sys.argv[1:2] == ["eval"] else ()
    return Made(words, tuple(map(str, data)), datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"))


class RunningScore:
    """A progress bar with the mean score of all images and how many a second are measured.

    Those of an earlier run count for the score, not for the speed.
    """

    def __init__(
        self, progress: Progress, protocol: EvaluationProtocol, earlier: list[ImageResult], total: int
    ) -> None:
        self._progress, self._protocol = progress, protocol
        self._scores = [score for result in earlier for score in protocol.scores_of(result)]
        self._measured, self._start = 0, time.perf_counter()
        self._task = progress.add_task("measuring", total=total, completed=len(earlier))

    def add(self, result: ImageResult) -> None:
        """Count one image."""
        self._scores += self._protocol.scores_of(result)
        self._measured += 1
        mean = f"{self._protocol.score} {sum(self._scores) / len(self._scores):.1%}, " if self._scores else ""
        speed = self._measured / (time.perf_counter() - self._start)
        self._progress.update(self._task, advance=1, description=f"{mean}{speed:.1f} images/s")


def _print_report(report: dict[str, Any], protocol: EvaluationProtocol, output: Path) -> None:
    from samlet.cli.tables import print_table
    from samlet.evaluation.report.page import PAGE_FILE
    from samlet.evaluation.report.summary import REPORT_FILE

    for table in protocol.tables(report["metrics"]):
        rows = table.rows[-1:] if table.folded else table.rows  # its sum is enough on a terminal
        columns = [(table.title, "left"), *((heading, "right") for heading in table.headings)]
        print_table(columns, [(row.name, *row.cells) for row in rows])
    for reason, count in report["left_out"].items():
        if count:
            print(f"left out: {count:,} ({reason})")
    if report["missing_images"]:
        print(f"missing: {len(report['missing_images']):,} images, the first is {report['missing_images'][0]}")
    print(output / REPORT_FILE, output / PAGE_FILE, sep="\n")


def _points(difference: Difference | None) -> str:
    """A difference in percentage points with its interval."""
    if difference is None:
        return ""
    value, low, high = (100 * number for number in (difference.value, difference.low, difference.high))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"
