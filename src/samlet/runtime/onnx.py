"""The default backend: an exported artifact run by ONNX Runtime, on the CPU, or on CUDA where the installed runtime
offers it.

It knows sessions; what they are asked is in `samlet.runtime.graphs`, how the graphs were made in `samlet.export.onnx`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from samlet.errors import BackendError
from samlet.runtime.graphs import Graph, GraphBackend

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")  # the first one that is there does the work


class OnnxBackend(GraphBackend):
    """Backend over an artifact folder; safe to use from many threads. Sessions are created when first needed."""

    name = "onnx"
    runtime = "ONNX Runtime"

    def _open(self, path: Path, threads: int) -> Graph:
        session = _open_session(path, threads)
        names = [output.name for output in session.get_outputs()]

        def run(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
            arrays: Sequence[Any] = session.run(names, inputs)  # typed for sparse tensors and sequences too
            return dict(zip(names, arrays, strict=True))

        return run


def _open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    available = onnxruntime.get_available_providers()
    providers = [provider for provider in PROVIDERS if provider in available]
    try:
        return onnxruntime.InferenceSession(os.fspath(path), options, providers=providers)
    except Exception as error:  # ONNX Runtime's errors have no common class
        version = onnxruntime.__version__
        raise BackendError(
            f"ONNX Runtime {version} cannot load {path}: install a newer onnxruntime or export the model again "
            f"({error})."
        ) from error
