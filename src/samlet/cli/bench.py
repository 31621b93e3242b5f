"""`samlet bench`: how fast a model is on this machine, on every backend and in every precision it has here."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.console import Console

from samlet.cli.options.bounds import Between
from samlet.cli.options.model import BackendName, CheckpointFile, Device, ModelName, Threads
from samlet.cli.options.places import record_to_write
from samlet.cli.pull import with_weights
from samlet.cli.tables import print_table
from samlet.errors import BackendError, InputError, ModelError
from samlet.models.registry import DEFAULT_MODEL

if TYPE_CHECKING:
    from samlet.benchmarking.processes import Worker
    from samlet.benchmarking.steps import Measurement, Plan
    from samlet.benchmarking.target import Target
    from samlet.benchmarking.timing import Figure

AUTO: Literal["auto"] = "auto"
WHAT = "encode,decode,click,first-answer,everything,throughput,cold-start"
WIDTH = 100
PrintsJson = Annotated[
    bool, Parameter(name="--json", help="Print one JSON line with all figures in place of the table.", negative=())
]
JsonFile = Annotated[Path, Parameter(help="Write that JSON line to this file.", validator=record_to_write)]
Side = Annotated[int, Parameter(validator=Between(1, 256))]

app = App(name="bench", help_format="plaintext")


@app.default
def bench(
    models: Annotated[
        list[str] | None,
        Parameter(name="--model", help="Names from `samlet models` and exported folders; default: what ships."),
    ] = None,
    *,
    backends: Annotated[
        str,
        Parameter(
            name=("--backends", "--backend"),
            help="Some of onnx,openvino,tensorrt,torch; auto: all that run here but tensorrt.",
        ),
    ] = AUTO,
    precisions: Annotated[
        str,
        Parameter(
            name=("--precisions", "--precision"),
            help="Of float32, float16-weights, float16, int8, bfloat16 those wanted; auto: all there are, of torch's "
            "half precisions only with a device other than the cpu.",
        ),
    ] = AUTO,
    what: Annotated[
        str,
        Parameter(
            help=f"Some of {WHAT}; default: all. In the table encode is the network alone and embed starts from a "
            "photo in memory; decode ends in logits of 256 x 256, click in a mask of the photo's size; a first answer "
            "is embed and the mask of segment, second look included; a cold start is a new Python process up to a mask."
        ),
    ] = WHAT,
    image: Annotated[Path | None, Parameter(help="The photo; default: one of 600 x 400 pixels.")] = None,
    checkpoint: CheckpointFile | None = None,
    random_weights: Annotated[bool, Parameter(help="Time torch without weights: all but everything mode.")] = False,
    device: Device | None = None,
    threads: Threads | None = None,
    repeats: Annotated[
        int,
        Parameter(
            help="Runs of each, in three turns, each after one that does not count; 3 of slow ones.",
            validator=Between(1, 10_000),
        ),
    ] = 10,
    points_per_side: Annotated[Side, Parameter(help="The grid of everything mode has so many clicks in a row.")] = 16,
    baseline: Annotated[
        str | None, Parameter(help="Tell how many times better the others are than this MODEL/BACKEND/PRECISION.")
    ] = None,
    json_: PrintsJson = False,
    output: JsonFile | None = None,
) -> None:
    """Time models on every backend and in every precision that they have here, by turns.

    Each is in a process of its own, which waits while the others work. Prints a table of medians with the 10th and 90th
    percentile. Peak memory is that of the process up to then.
    """
    from samlet.benchmarking.steps import PHOTO, STEPS, Plan, photo_facts
    from samlet.benchmarking.target import find_targets

    plan = Plan(_steps(what, STEPS), image or PHOTO, repeats, points_per_side)
    targets = find_targets(
        models or [DEFAULT_MODEL],
        _listed(backends),
        _listed(precisions),
        checkpoint=checkpoint,
        random_weights=random_weights,
        device=device,
        threads=threads,
    )
    _check_baseline(baseline, targets)
    photo = photo_facts(plan.photo)
    named = [target for target in targets if _was_named(target, backends, precisions)]
    load = _load_average()
    measured, left_out = _measure_all(targets, plan, named)
    if baseline in left_out:
        raise BackendError(f"The baseline {baseline} does not run here: {left_out[baseline]}")
    against = None if baseline is None else measured[baseline].figures
    if not json_:
        _print_figures(measured, against)
        _print_load(load)
    targets_json = [
        _target_json(target, measured[target.name], against) for target in targets if target.name in measured
    ]
    settings = {"photo": photo, "threads": threads, "device": device, "points_per_side": points_per_side}
    _print_json({**settings, "baseline": baseline, "targets": targets_json, "left_out": left_out}, json_, output)


@app.command(name="everything")
def bench_everything(
    photos: Annotated[list[Path] | None, Parameter(help="Image files; default: one of 600 x 400 pixels.")] = None,
    /,
    *,
    model: ModelName = DEFAULT_MODEL,
    backend: BackendName = AUTO,
    reference: Annotated[
        bool, Parameter(help="Also run segment_anything's order of operations: torch, batches of 64.", negative=())
    ] = False,
    checkpoint: CheckpointFile | None = None,
    points_per_side: Annotated[Side, Parameter(help="The grid has so many clicks in a row.")] = 32,
    fast: Annotated[bool, Parameter(help="Also run fast mode, and tell its recall of the exact masks.")] = False,
    threads: Threads | None = None,
    json_: PrintsJson = False,
    output: JsonFile | None = None,
) -> None:
    """Time everything mode on photos, beside segment_anything's own order of operations with the same weights.

    "matched" is the share of the reference's masks of which ours has one at IoU 0.95 or more.
    """
    from samlet.benchmarking.side_by_side import compare, reference_of, total
    from samlet.benchmarking.steps import PHOTO
    from samlet.benchmarking.target import best_target

    target = best_target(model, backend, checkpoint=checkpoint, threads=threads)
    if checkpoint is not None and not reference and target.backend != "torch":
        raise InputError(f"The checkpoint {checkpoint} is for torch: give --reference or --backend torch too.")
    theirs = with_weights(lambda: reference_of(model, checkpoint)) if reference else None
    rows: list[dict[str, Any]] = []
    load = _load_average()
    with Console(stderr=True).status("everything") as status:
        for row in compare(target, photos or [PHOTO], points_per_side, reference=theirs, fast=fast):
            rows.append(row)
            status.update(f"everything: {len(rows)} photos done")
    whole = total(rows)
    if not json_:
        _print_everything([*rows, {"name": "all", **whole}] if len(rows) > 1 else rows)
        _print_load(load)
    ratios = [row["ratio"] for row in rows if "ratio" in row]
    settings = {"target": target.name, "points_per_side": points_per_side, "threads": threads}
    facts = {"median_ratio": median(ratios) if ratios else None, "total": whole, "photos": rows}
    _print_json({**settings, **facts}, json_, output)


def _was_named(target: Target, backends: str, precisions: str) -> bool:
    """Whether a target was asked for by its backend and, if it computes in another precision than usual, by that."""
    from samlet.benchmarking.target import COMPUTES_IN

    usual = target.precision not in COMPUTES_IN.get(target.backend, ())
    return backends != AUTO and (usual or precisions != AUTO)


def _measure_all(
    targets: Sequence[Target], plan: Plan, named: Sequence[Target]
) -> tuple[dict[str, Measurement], dict[str, str]]:
    """Measurements by name, and why those of other targets than the `named` ones were not made.

    Targets take turns, each in a process that waits while the others work.
    """
    from samlet.benchmarking import processes
    from samlet.benchmarking.timing import TURNS

    measured: dict[str, Measurement] = {}
    left_out: dict[str, str] = {}
    turns = min(TURNS, plan.repeats)
    turn_plan = replace(plan, repeats=-(-plan.repeats // turns))
    with ExitStack() as stack, Console(stderr=True).status("") as status:
        workers = {target.name: stack.enter_context(processes.Worker(target.threads)) for target in targets}
        for turn in range(1, turns + 1):
            for target in (each for each in targets if each.name not in left_out):
                status.update(f"timing {target.name}, turn {turn} of {turns}")
                try:
                    result = with_weights(partial(_measure, workers[target.name], target, turn_plan))
                except (BackendError, ModelError) as error:
                    if target in named:
                        raise
                    left_out[target.name] = str(error)
                    measured.pop(target.name, None)
                    print(f"left out: {target.name}: {error}", file=sys.stderr)
                else:
                    before = measured.get(target.name)
                    measured[target.name] = result if before is None else before.joined(result)
    if not measured:
        raise BackendError(f"Nothing could be timed. {next(iter(left_out.values()))}")
    return measured, left_out


def _measure(worker: Worker, target: Target, plan: Plan) -> Measurement:
    from samlet.benchmarking import steps

    measurement = worker.call(steps.measure, target, plan)
    if steps.COLD_START not in plan.steps or target.random_weights:
        return measurement
    return replace(measurement, figures=measurement.figures | {"cold start": steps.cold_start(target, plan)})


def _steps(what: str, known: Sequence[str]) -> list[str]:
    steps = _listed(what) or []
    for step in steps:
        if step not in known:
            raise InputError(f'There is nothing to time called "{step}": --what takes {", ".join(known)}.')
    return steps


def _listed(text: str) -> list[str] | None:
    """The words between commas; None for "auto"."""
    return None if text == AUTO else [word.strip() for word in text.split(",")]


def _check_baseline(baseline: str | None, targets: Sequence[Target]) -> None:
    names = [target.name for target in targets]
    if baseline is not None and baseline not in names:
        raise InputError(f'The baseline "{baseline}" is not timed: choose one of {", ".join(names)}.')


def _print_figures(measured: dict[str, Measurement], baseline: dict[str, Figure] | None) -> None:
    """A row for each step; as many targets side by side as fit into `WIDTH` columns, the others in tables below."""
    units = {name: figure.unit for measurement in measured.values() for name, figure in measurement.figures.items()}
    left = max(len(f"{name} ({unit})") for name, unit in units.items())
    columns = {
        name.replace("/", "\n"): [_cell(step, measurement.figures, baseline) for step in units]
        for name, measurement in measured.items()
    }
    widths = {heading: max(map(len, [*heading.splitlines(), *cells])) for heading, cells in columns.items()}
    for headings in _in_rows(widths, WIDTH - left):
        rows = [
            [f"{step} ({unit})", *(columns[heading][number] for heading in headings)]
            for number, (step, unit) in enumerate(units.items())
        ]
        print_table([("", "left"), *((heading, "right") for heading in headings)], rows)


def _in_rows(widths: dict[str, int], room: int) -> list[list[str]]:
    """The names in groups, each of which fits into the room; a name that is too wide is alone."""
    groups: list[list[str]] = [[]]
    for name, width in widths.items():
        taken = sum(widths[each] + 2 for each in groups[-1])
        if groups[-1] and taken + width + 2 > room:
            groups.append([])
        groups[-1].append(name)
    return groups


def _print_load(before: float | None) -> None:
    """How busy the machine was, on which all times depend."""
    from samlet.runtime.graphs import usable_cores

    after = _load_average()
    if before is None or after is None:
        return
    busy = "; other work ran, so repeat this when none does" if before > usable_cores() / 2 else ""
    print(f"load average {before:.1f}, then {after:.1f}, {usable_cores()} usable cores{busy}")


def _load_average() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _cell(name: str, figures: dict[str, Figure], baseline: dict[str, Figure] | None) -> str:
    if name not in figures:
        return "–"
    figure = figures[name]
    text = _number(figure.median)
    if len(figure.values) > 1:
        text += " ({}–{})".format(*map(_number, figure.spread))
    if baseline is not None and name in baseline:
        text += f" {figure.times_better(baseline[name]):.2f}×"
    return text


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _target_json(target: Target, measurement: Measurement, baseline: dict[str, Figure] | None) -> dict[str, Any]:
    figures = {name: figure.to_json() for name, figure in measurement.figures.items()}
    for name, record in figures.items():
        if baseline is not None and name in baseline:
            record["times_better"] = round(measurement.figures[name].times_better(baseline[name]), 3)
    return {
        "name": target.name,
        "model": measurement.model,
        "backend": target.backend,
        "precision": target.precision,
        "weights_sha256": measurement.weights_sha256,
        "figures": figures,
    }


def _print_everything(rows: Sequence[dict[str, Any]]) -> None:
    columns = _everything_columns(rows[0])
    headings = [(heading, "left" if heading == "photo" else "right") for heading in columns]
    print_table(headings, [list(_everything_columns(row).values()) for row in rows])


def _everything_columns(row: dict[str, Any]) -> dict[str, str]:
    """Headings and texts of what was measured of a photo."""
    ways = [way for way in ("reference", "ours", "fast") if way in row]
    texts = {"photo": row["name"], "size": f"{row['width']} x {row['height']}" if "width" in row else ""}
    texts |= {f"{way} (s)": _number(row[way]["seconds"]) for way in ways}
    if "ratio" in row:
        texts |= {"ratio": f"{row['ratio']:.2f}×", "in CPU time": f"{row['cpu_ratio']:.2f}×"}
    texts |= {f"{way} masks": str(row[way]["masks"]) for way in ways}
    if "matched" in row:
        texts["matched"] = _share(row["matched"])
    if "fast" in row:
        texts["fast recall"] = _share(row["fast"]["recall"])
    return texts | {f"{way} (MB)": _optional(row[way]["peak_memory_mb"]) for way in ways if way != "fast"}


def _optional(value: float | None) -> str:
    return "–" if value is None else _number(value)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _print_json(facts: dict[str, Any], printed: bool, output: Path | None) -> None:
    """One line that says what was run, on what, and what came out, where it was asked for."""
    from samlet.evaluation.provenance import machine, versions
    from samlet.files import make_folder, write_files
    from samlet.marks import marked_record
    from samlet.runtime.graphs import usable_cores

    here = {**machine(), "usable_cores": usable_cores(), "load_average": _load_average()}
    told = {"command": f"samlet {shlex.join(sys.argv[1:])}", "machine": here, "versions": versions(), **facts}
    line = json.dumps(marked_record(told, None))
    if printed:
        print(line)
    if output is not None:
        make_folder(output.parent)
        write_files({output: f"{line}\n".encode()})
