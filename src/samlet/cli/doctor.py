"""`samlet doctor`: what this machine can run, and why not."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter

import samlet
from samlet.cli import machine
from samlet.cli.tables import megabytes, print_table
from samlet.hub import weights
from samlet.hub.folder import cache_folder, has_cache
from samlet.loading import artifact_backend
from samlet.models.registry import DEFAULT_MODEL, shipped_folder
from samlet.opencv import opencv_packages
from samlet.runtime.graphs import usable_cores


def doctor(*, json_: Annotated[bool, Parameter(name="--json", help="Print one JSON object.")] = False) -> None:
    """Say what this machine can run: versions, backends and their devices, threads, memory, the cache."""
    facts = _facts()
    if json_:
        print(json.dumps(facts))
        return
    print_table((("", "left"), ("", "left")), _rows(facts))


def _facts() -> dict[str, Any]:
    total, available = machine.memory_bytes()
    return {
        "samlet": samlet.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": machine.package_versions(),
        "opencv_packages": opencv_packages(),
        "cpu": {
            "name": machine.cpu_name(),
            "cores": os.cpu_count(),
            "usable_cores": usable_cores(),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        },
        "memory": {"total_bytes": total, "available_bytes": available},
        "cache": {"folder": str(cache_folder()) if has_cache() else None, "size_bytes": weights.cached_bytes()},
        "default_model": {"name": DEFAULT_MODEL, "shipped": shipped_folder(DEFAULT_MODEL) is not None},
        "auto": dict(zip(("backend", "reason"), artifact_backend(), strict=True)),
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
