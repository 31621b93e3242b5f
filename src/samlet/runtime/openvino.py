"""The backend for x86 CPUs: the same artifact, its ONNX graphs read as they are by OpenVINO.

It knows compiled graphs; what they are asked is in `samlet.runtime.graphs`.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from samlet.errors import BackendError
from samlet.runtime.artifact import Artifact
from samlet.runtime.graphs import Graph, GraphBackend
from samlet.runtime.openvino_core import openvino_core
from samlet.runtime.shared import IMAGES_KEPT
from samlet.runtime.telemetry import import_without_telemetry

if TYPE_CHECKING:
    import openvino
else:
    openvino = import_without_telemetry("openvino")

DEVICE = "CPU"
PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}  # ours → OpenVINO's


class OpenVinoBackend(GraphBackend):
    """Backend over an artifact folder; safe to use from many threads. Graphs are compiled when first needed.

    `precision` of the arithmetic: "float32", or "bfloat16" on a CPU that has it (BackendError elsewhere). OpenVINO left
    alone takes bfloat16 wherever it can, and then masks would depend on the machine.
    """

    name = "openvino"
    runtime = "OpenVINO"

    def __init__(
        self,
        artifact: Artifact,
        threads: int | None = None,
        precision: str = "float32",
        *,
        images_kept: int = IMAGES_KEPT,
    ) -> None:
        super().__init__(artifact, threads, images_kept=images_kept)
        self._core = openvino_core()
        self._config = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _usable(precision, self._core),
        }

    @classmethod
    def from_folder(
        cls,
        path: str | os.PathLike[str],
        threads: int | None = None,
        precision: str = "float32",
        *,
        images_kept: int = IMAGES_KEPT,
    ) -> OpenVinoBackend:
        """Open an artifact folder; see `GraphBackend.from_folder` and this class."""
        return cls(Artifact.open(Path(path)), threads, precision, images_kept=images_kept)

    def _open(self, path: Path, threads: int) -> Graph:
        config = self._config | {"INFERENCE_NUM_THREADS": threads}
        try:
            return _CompiledGraph(self._core.compile_model(path, DEVICE, config))
        except Exception as error:  # OpenVINO raises RuntimeError for whatever it is
            raise BackendError(
                f"OpenVINO {openvino.__version__} cannot load {path}: install a newer openvino or export the model "
                f"again ({error})."
            ) from error


class _CompiledGraph:
    """A compiled graph and the requests that run it: one for each thread that is inside at the same time."""

    def __init__(self, compiled: openvino.CompiledModel) -> None:
        self._compiled = compiled
        self._names = [output.any_name for output in compiled.outputs]
        self._idle: deque[openvino.InferRequest] = deque()  # its append and pop are atomic

    def __call__(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        results = request.infer(inputs)  # copies: the request may be used again at once
        self._idle.append(request)
        return {name: results[name] for name in self._names}


def _usable(precision: str, core: openvino.Core) -> str:
    """OpenVINO's word for a precision that this CPU has."""
    if precision not in PRECISIONS:
        raise BackendError(f'There is no precision "{precision}": use {", ".join(PRECISIONS)}.')
    if precision == "bfloat16" and "BF16" not in core.get_property(DEVICE, "OPTIMIZATION_CAPABILITIES"):
        raise BackendError("This CPU cannot compute in bfloat16: use float32.")
    return PRECISIONS[precision]
