"""A torch model to an ONNX artifact folder, which appears only once it has been shown to give the same masks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import onnx
import torch

from samlet import __version__
from samlet.errors import ExportError, ImageError
from samlet.export.artifact import folder_aside
from samlet.export.graphs import plan_graphs, write_graph
from samlet.export.official import OfficialBackend, write_official_decoder
from samlet.export.opset import IR_VERSIONS, OPSET, lower_opset
from samlet.export.parity import PHOTOS, TOLERANCES, Parity, compare
from samlet.export.plain import PlainBackend
from samlet.export.precision import Precision, store_weights_as_float16
from samlet.extras import import_with_extra
from samlet.files import sha256_of
from samlet.marks import MARK
from samlet.models import Sam
from samlet.reading import reading
from samlet.runtime.artifact import DECODER, ENCODER, MANIFEST, PARITY, manifest_record
from samlet.runtime.onnx import OnnxBackend

Layout = Literal["samlet", "official"]
REMEDIES = {
    "float32": "report this",
    "float16-weights": "use float32 weights",
    "float16": "use float16-weights, which computes in float32",
    "int8": "calibrate on more photos of your kind, or use another precision",
}


def export_onnx(
    model: Sam,
    folder: Path,
    *,
    layout: Layout = "samlet",
    precision: Precision = "float32",
    opset: int = OPSET,
    calibration: Sequence[Path] = (),
    photos: Sequence[Path] = PHOTOS,
    progress: Callable[[str], None] = lambda _: None,
) -> Parity:
    """Write the artifact of a model and return how near it is to the model in torch.

    `layout`: "samlet" (`samlet.runtime.artifact`) or "official" (`samlet.export.official`). `opset`: one of
    `samlet.export.opset.IR_VERSIONS`. `calibration`: photos that int8's ranges are measured on, none of which may be
    among `photos`, those that parity is measured on. `progress` is told each step. Nothing is
    written on ExportError (the graphs cannot be made, or differ by more than the tolerance of `precision`),
    OutputError, ImageError or MissingExtraError.
    """
    _check_request(precision, opset, calibration, photos)
    model = deepcopy(model).cpu().eval()
    with folder_aside(folder) as aside:
        write = _write_official if layout == "official" else _write_graphs
        names = write(model, aside, torch.float16 if precision == "float16" else torch.float32, opset, progress)
        _reduce(aside, names, model, precision, calibration, progress)
        for name in names:
            lower_opset(aside / name, opset)
        manifest = _manifest(aside, names, model, precision, layout)
        _write_json(aside / MANIFEST, manifest)
        progress(f"comparing masks on {len(photos)} photos")
        candidate = OfficialBackend(aside, model.spec) if layout == "official" else OnnxBackend.from_folder(aside)
        parity = compare(PlainBackend(model, model.spec), candidate, photos)
        _check(parity, model.spec.name, precision)
        record = parity.to_json(TOLERANCES[precision]) | {"nodes": {name: _nodes(aside / name) for name in names}}
        _write_json(aside / PARITY, record)
    return parity


def _check_request(precision: Precision, opset: int, calibration: Sequence[Path], photos: Sequence[Path]) -> None:
    if opset not in IR_VERSIONS:
        raise ExportError(f"There is no opset {opset} here: use one of {', '.join(map(str, IR_VERSIONS))}.")
    if not photos:
        raise ExportError("Nothing to compare masks on: give at least one photo.")
    if precision == "int8" and not calibration:
        raise ExportError("int8 is calibrated on photos of the kind the model will see: give at least one.")
    if precision != "int8" and calibration:
        raise ExportError(f"Only int8 is calibrated: leave the calibration photos out for {precision}.")
    compared = {_digest(photo) for photo in photos} if calibration else set()
    both = next((photo for photo in calibration if _digest(photo) in compared), None)
    if both is not None:
        raise ExportError(
            f"{both} is calibrated on and compared on, which flatters int8: choose other photos for one of the two."
        )


def _digest(photo: Path) -> str:
    with reading(photo, "an image", ImageError):
        return sha256_of(photo)


def _write_graphs(
    model: Sam, folder: Path, dtype: torch.dtype, opset: int, progress: Callable[[str], None]
) -> list[str]:
    plans = plan_graphs(model, dtype)
    for name, plan in plans.items():
        progress(f"translating {name}")
        write_graph(plan, folder / name, opset)
    return list(plans)


def _write_official(
    model: Sam, folder: Path, dtype: torch.dtype, opset: int, progress: Callable[[str], None]
) -> list[str]:
    progress(f"translating {ENCODER}")
    write_graph(plan_graphs(model, dtype)[ENCODER], folder / ENCODER, opset)
    progress(f"translating {DECODER}")
    write_official_decoder(model, folder / DECODER, opset)
    return [ENCODER, DECODER]


def _reduce(
    folder: Path,
    names: Sequence[str],
    model: Sam,
    precision: Precision,
    calibration: Sequence[Path],
    progress: Callable[[str], None],
) -> None:
    """Bring the graphs to `precision`; beside an encoder in int8 or float16, weights are stored as float16."""
    if precision == "int8":
        quantization = import_with_extra("samlet.export.quantize", "quantize", "int8")
        quantization.quantize_encoder(folder / ENCODER, model.spec.image, calibration, progress)
    for name in names:
        if precision == "float16-weights" or (precision in ("int8", "float16") and name != ENCODER):
            store_weights_as_float16(folder / name)


def _manifest(folder: Path, names: Sequence[str], model: Sam, precision: Precision, layout: Layout) -> dict[str, Any]:
    if layout == "samlet":
        return {MARK: __version__} | manifest_record(folder, model.spec, precision)
    files = {name: sha256_of(folder / name) for name in names}
    return {MARK: __version__} | model.spec.to_json() | {"layout": layout, "precision": precision, "files": files}


def _nodes(path: Path) -> int:
    return len(onnx.load(path).graph.node)


def _check(parity: Parity, name: str, precision: Precision) -> None:
    violations = parity.violations(TOLERANCES[precision])
    if violations:
        raise ExportError(
            f"The exported {name} does not match the model in torch: {'; '.join(violations)}. Nothing was written; "
            f"{REMEDIES[precision]}."
        )


def _write_json(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
