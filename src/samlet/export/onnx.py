"""A torch model to an ONNX artifact folder, which appears only once it has been shown to give the same masks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from samlet.errors import ExportError
from samlet.export.artifact import folder_aside
from samlet.export.graphs import plan_graphs, write_graph
from samlet.export.parity import PHOTOS, TOLERANCES, Parity, compare
from samlet.export.precision import Precision, store_weights_as_float16
from samlet.models import Sam
from samlet.runtime.artifact import MANIFEST, PARITY, manifest_record
from samlet.runtime.onnx import OnnxBackend
from samlet.runtime.torch import TorchBackend


def export_onnx(
    model: Sam,
    folder: Path,
    *,
    precision: Precision = "float32",
    photos: Sequence[Path] = PHOTOS,
    progress: Callable[[str], None] = lambda _: None,
) -> Parity:
    """Write the artifact of a model (see `samlet.runtime.artifact`) and return how near it is to the model in torch.

    `photos`: what parity is measured on. `progress` is told each step. Nothing is written on ExportError (the graphs
    cannot be made, or differ by more than the tolerance of `precision`), OutputError or ImageError.
    """
    if not photos:
        raise ExportError("Nothing to compare masks on: give at least one photo.")
    model = deepcopy(model).cpu().eval()
    with folder_aside(folder) as aside:
        for name, plan in plan_graphs(model).items():
            progress(f"translating {name}")
            write_graph(plan, aside / name)
            if precision == "float16-weights":
                store_weights_as_float16(aside / name)
        _write_json(aside / MANIFEST, manifest_record(aside, model.spec, precision))
        progress(f"comparing masks on {len(photos)} photos")
        parity = compare(TorchBackend(model, model.spec), OnnxBackend.from_folder(aside), photos)
        _check(parity, model.spec.name, precision)
        _write_json(aside / PARITY, parity.to_json(TOLERANCES[precision]))
    return parity


def _check(parity: Parity, name: str, precision: Precision) -> None:
    violations = parity.violations(TOLERANCES[precision])
    if violations:
        remedy = "report this" if precision == "float32" else "use float32 weights"
        raise ExportError(
            f"The exported {name} does not match the model in torch: {'; '.join(violations)}. Nothing was written; "
            f"{remedy}."
        )


def _write_json(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
