"""`samlet doctor`: what this machine can run, and why not."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

import samlet
from samlet.cli import machine
from samlet.cli.tables import megabytes, print_facts
from samlet.errors import InputError
from samlet.hub import weights
from samlet.hub.folder import cache_folder, has_cache
from samlet.loading import spec_of
from samlet.models.registry import DEFAULT_MODEL, shipped_folder
from samlet.opencv import opencv_packages
from samlet.runtime.choice import choose, guess
from samlet.runtime.cpu import cpu_name
from samlet.runtime.graphs import usable_cores


def doctor(
    *,
    tune: Annotated[
        bool,
        Parameter(help="Measure which runtime encodes and decodes fastest here, and keep that for auto.", negative=()),
    ] = False,
    model: Annotated[
        str | None,
        Parameter(help="What is tuned: a name from `samlet models` or an exported folder; default: what ships."),
    ] = None,
    json_: Annotated[bool, Parameter(name="--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what this machine can run: versions, backends and their devices, threads, memory, the cache."""
    if model is not None and not tune:
        raise InputError(f"--model {model} says what is tuned and would be ignored: give --tune too.")
    tuned = _tune(model or DEFAULT_MODEL) if tune else {}
    facts = _facts() | tuned
    if json_:
        print(json.dumps(facts))
        return
    print_facts([*_rows(facts), *(_tuning_rows(tuned["tuning"]) if tuned else ())])


def _tune(model: str) -> dict[str, Any]:
    """Measure, keep what was measured in the cache, and tell it."""
    from samlet.benchmarking.target import artifact_of
    from samlet.benchmarking.tuning import tune
    from samlet.runtime.choice import write_choice

    folder = artifact_of(model)
    if folder is None:
        raise InputError(f"{model} runs in torch alone: export it (`samlet export {model}`) and tune the folder.")
    spec_of(folder).check_task("promptable")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    busy = load is not None and load > usable_cores() / 2
    with Console(stderr=True).status("") as status:
        measured = tune(folder, status.update)
    path = None if busy else write_choice(folder, measured.choice, measured.to_json())
    kept = "nowhere: the machine was busy" if busy else "nowhere: set SAMLET_CACHE" if path is None else f"in {path}"
    return {"tuning": measured.to_json() | {"model": model, "kept_in": kept, "kept": path is not None, "load": load}}


def _tuning_rows(tuning: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, what in (("encode_ms", "encode"), ("click_ms", "a click"), ("many_ms", "16 clicks")):
        times = sorted(tuning[name].items(), key=lambda item: item[1])
        yield f"tuning: {what}", ", ".join(f"{value:.1f} ms {setting}" for setting, value in times)
    choice, offer = tuning["choice"], tuning["bfloat16"]
    yield f"tuning: {tuning['model']}", choice["reason"]
    yield (
        "tuning: auto",
        ("uses it from now on" if tuning["kept"] else "does not use it") + f" (kept {tuning['kept_in']})",
    )
    yield "tuning: bfloat16", "does not run here" if offer is None else _offer_words(offer)
    if tuning["load"] is not None:
        yield "tuning: load", f"load average {tuning['load']:.1f} on {usable_cores()} cores; tune when it is quiet"


def _offer_words(offer: dict[str, Any]) -> str:
    facts = (
        f"encodes {offer['times_faster']:.1f} times as fast, mask IoU with float32 {offer['mask_iou_mean']:.4f} "
        f"on average and {offer['mask_iou_min']:.3f} at least"
    )
    return f"offered, --precision bfloat16: {facts}" if offer["offered"] else f"not offered: {facts}"


def _facts() -> dict[str, Any]:
    total, available = machine.memory_bytes()
    shipped = shipped_folder(DEFAULT_MODEL)
    auto = guess() if shipped is None else choose(shipped)
    return {
        "samlet": samlet.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": machine.package_versions(),
        "opencv_packages": opencv_packages(),
        "cpu": {
            "name": cpu_name(),
            "cores": os.cpu_count(),
            "usable_cores": usable_cores(),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        },
        "memory": {"total_bytes": total, "available_bytes": available},
        "cache": {"folder": str(cache_folder()) if has_cache() else None, "size_bytes": weights.cached_bytes()},
        "default_model": {"name": DEFAULT_MODEL, "shipped": shipped is not None},
        "auto": {"backend": auto.name, "reason": auto.reason},
        "backends": [asdict(state) for state in machine.backend_states()],
    }


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    cpu, memory, cache, model = facts["cpu"], facts["memory"], facts["cache"], facts["default_model"]
    rows = [
        ("samlet", f"{facts['samlet']}, Python {facts['python']}, {facts['system']}"),
        ("packages", ", ".join(f"{name} {found or 'missing'}" for name, found in facts["packages"].items())),
        ("cpu", f"{cpu['name']}, {cpu['usable_cores']} of {cpu['cores']} cores usable"),
        ("threads", f"OMP_NUM_THREADS is {cpu['OMP_NUM_THREADS'] or 'not set'}"),
        ("memory", f"{_size(memory['available_bytes'])} free of {_size(memory['total_bytes'])}"),
        (
            "cache",
            f"{cache['folder'] or 'nowhere: set SAMLET_CACHE'}, {megabytes(cache['size_bytes'])}",
        ),
        ("default model", f"{model['name']}, {'here' if model['shipped'] else 'missing from this installation'}"),
    ]
    twins = facts["opencv_packages"]
    if len(twins) > 1:
        rows.append(("opencv", f"{' and '.join(twins)} share one folder, cv2: pip uninstall all but one"))
    rows += [(f"backend {state['name']}", _verdict(state)) for state in facts["backends"]]
    return [*rows, ("backend auto", f"{facts['auto']['backend']}: {facts['auto']['reason']}")]


def _verdict(state: dict[str, Any]) -> str:
    if state["runs"]:
        return f"runs: {state['detail']}"
    return f"cannot run: {state['detail']}; {state['remedy']}"


def _size(size_bytes: int | None) -> str:
    return "an unknown size" if size_bytes is None else megabytes(size_bytes)
