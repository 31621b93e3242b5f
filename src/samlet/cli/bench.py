"""`samlet bench`: how fast a model is on this machine, on every backend and in every precision it has here."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.console import Console

from samlet.cli.options.bounds import Between
from samlet.cli.options.model import BackendName, CheckpointFile, Device, ModelName, Threads
from samlet.cli.options.places import file_to_write
from samlet.cli.pull import with_weights
from samlet.cli.tables import print_table
from samlet.errors import BackendError, InputError, ModelError
from samlet.models.registry import DEFAULT_MODEL

if TYPE_CHECKING:
    from samlet.benchmarking.steps import Measurement, Plan
    from samlet.benchmarking.target import Target
    from samlet.benchmarking.timing import Figure

AUTO: Literal["auto"] = "auto"
WHAT = "encode,decode,click,everything,throughput,cold-start"
JsonFile = Annotated[Path, Parameter(help="Also write the JSON line to this file.", validator=file_to_write)]
Side = Annotated[int, Parameter(validator=Between(1, 256))]

app = App(name="bench", help_format="plaintext")


@app.default
def bench(
    models: Annotated[
        list[str] | None, Parameter(help="Names from `samlet models` and exported folders; default: what ships.")
    ] = None,
    /,
    *,
    backends: Annotated[
        str, Parameter(help="Some of onnx,openvino,tensorrt,torch; auto: all that run here but tensorrt.")
    ] = AUTO,
    precisions: Annotated[
        str,
        Parameter(
            help="Of float32, float16-weights, float16, int8, bfloat16 those wanted; auto: all there are, of torch's "
            "half precisions only with a device other than the cpu."
        ),
    ] = AUTO,
    what: Annotated[
        str,
        Parameter(
            help=f"Some of {WHAT}; default: all. In the table encode is the network alone and embed starts from a "
            "photo in memory; decode ends in logits of 256 x 256, click in a mask of the photo's size; a cold start is "
            "a new Python process up to that mask."
        ),
    ] = WHAT,
    image: Annotated[Path | None, Parameter(help="The photo; default: one of 600 x 400 pixels.")] = None,
    checkpoint: CheckpointFile | None = None,
    random_weights: Annotated[bool, Parameter(help="Time torch without weights: all but everything mode.")] = False,
    device: Device | None = None,
    threads: Threads | None = None,
    repeats: Annotated[
        int,
        Parameter(help="Runs of each, after one that does not count; 3 of slow ones.", validator=Between(1, 10_000)),
    ] = 10,
    points_per_side: Annotated[Side, Parameter(help="The grid of everything mode has so many clicks in a row.")] = 16,
    baseline: Annotated[
        str | None, Parameter(help="Tell how many times better the others are than this MODEL/BACKEND/PRECISION.")
    ] = None,
    output: JsonFile | None = None,
) -> None:
    """Time models on every backend and in every precision that they have here, each in a process of its own.

    Prints a table of medians with the 10th and 90th percentile, and one JSON line. Peak memory is that of the process
    up to then.
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
    measured, left_out = _measure_all(targets, plan, named)
    if baseline in left_out:
        raise BackendError(f"The baseline {baseline} does not run here: {left_out[baseline]}")
    against = None if baseline is None else measured[baseline].figures
    _print_figures(measured, against)
    targets_json = [
        _target_json(target, measured[target.name], against) for target in targets if target.name in measured
    ]
    settings = {"photo": photo, "threads": threads, "device": device, "points_per_side": points_per_side}
    _print_json({**settings, "baseline": baseline, "targets": targets_json, "left_out": left_out}, output)


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
    output: JsonFile | None = None,
) -> None:
    """Time everything mode on photos, beside segment_anything's own order of operations with the same weights.

    "matched" is the share of the reference's masks of which ours has one at IoU 0.95 or more. Prints a table and one
    JSON line.
    """
    from samlet.benchmarking.side_by_side import compare, reference_of, total
    from samlet.benchmarking.steps import PHOTO
    from samlet.benchmarking.target import best_target

    target = best_target(model, backend, checkpoint=checkpoint, threads=threads)
    if checkpoint is not None and not reference and target.backend != "torch":
        raise InputError(f"The checkpoint {checkpoint} is for torch: give --reference or --backend torch too.")
    theirs = with_weights(lambda: reference_of(model, checkpoint)) if reference else None
    rows: list[dict[str, Any]] = []
    with Console(stderr=True).status("everything") as status:
        for row in compare(target, photos or [PHOTO], points_per_side, reference=theirs, fast=fast):
            rows.append(row)
            status.update(f"everything: {len(rows)} photos done")
    whole = total(rows)
    _print_everything([*rows, {"name": "all", **whole}] if len(rows) > 1 else rows)
    ratios = [row["ratio"] for row in rows if "ratio" in row]
    settings = {"target": target.name, "points_per_side": points_per_side, "threads": threads}
    facts = {"median_ratio": median(ratios) if ratios else None, "total": whole, "photos": rows}
    _print_json({**settings, **facts}, output)


def _was_named(target: Target, backends: str, precisions: str) -> bool:
    """Whether a target was asked for by its backend and, if it computes in another precision than usual, by that."""
    from samlet.benchmarking.target import COMPUTES_IN

    usual = target.precision not in COMPUTES_IN.get(target.backend, ())
    return backends != AUTO and (usual or precisions != AUTO)


def _measure_all(
    targets: Sequence[Target], plan: Plan, named: Sequence[Target]
) -> tuple[dict[str, Measurement], dict[str, str]]:
    """Measurements by name, and why those of other targets than the `named` ones were not made."""
    measured: dict[str, Measurement] = {}
    left_out: dict[str, str] = {}
    with Console(stderr=True).status("") as status:
        for target in targets:
            status.update(f"timing {target.name}")
            try:
                measured[target.name] = with_weights(lambda target=target: _measure(target, plan))
            except (BackendError, ModelError) as error:
                if target in named:
                    raise
                left_out[target.name] = str(error)
                print(f"left out: {target.name}: {error}", file=sys.stderr)
    if not measured:
        raise BackendError(f"Nothing could be timed. {next(iter(left_out.values()))}")
    return measured, left_out


def _measure(target: Target, plan: Plan) -> Measurement:
    from samlet.benchmarking import processes, steps

    with processes.Worker(target.threads) as worker:
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
    units = {name: figure.unit for measurement in measured.values() for name, figure in measurement.figures.items()}
    rows = [
        [f"{name} ({unit})", *(_cell(name, measurement.figures, baseline) for measurement in measured.values())]
        for name, unit in units.items()
    ]
    print_table([("", "left"), *((name, "right") for name in measured)], rows)


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


def _print_json(facts: dict[str, Any], output: Path | None) -> None:
    """One line that says what was run, on what, and what came out; `output` gets the same."""
    from samlet.evaluation.provenance import machine, versions
    from samlet.files import make_folder, write_files
    from samlet.runtime.graphs import usable_cores

    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    here = {**machine(), "usable_cores": usable_cores(), "load_average": load_average}
    line = json.dumps(
        {"command": f"samlet {shlex.join(sys.argv[1:])}", "machine": here, "versions": versions(), **facts}
    )
    print(line)
    if output is not None:
        make_folder(output.parent)
        write_files({output: f"{line}\n".encode()})
