"""The backend for NVIDIA's TensorRT: the same artifact, its encoder built into an engine by ONNX Runtime's provider.

The other graphs run on CUDA: their shapes change with every question, and each new shape would be a build of minutes.
This was never run on a GPU: tests see which sessions it asks for, and that it refuses where there is no TensorRT.
"""

from __future__ import annotations

from pathlib import Path

from samlet.errors import BackendError
from samlet.files import make_folder, sha256_of
from samlet.hub.folder import cache_folder
from samlet.runtime.artifact import ENCODER, NETWORK, Artifact
from samlet.runtime.graphs import Graph, GraphBackend
from samlet.runtime.sessions import CPU, CUDA, TENSORRT, Provider, has, open_graph
from samlet.runtime.shared import IMAGES_KEPT


class TensorRtBackend(GraphBackend):
    """Backend over an artifact folder, for one GPU. The first photo waits minutes for the engine, which is then cached.

    An engine computes in the types that the artifact was exported with: TensorRT's own float16 flag stays off, with
    which it may compute any layer so, norms and divisions too. BackendError where onnxruntime has no TensorRT.
    """

    name = "tensorrt"
    runtime = "ONNX Runtime with TensorRT"

    def __init__(self, artifact: Artifact, threads: int | None = None, *, images_kept: int = IMAGES_KEPT) -> None:
        if not has(TENSORRT):
            raise BackendError(
                "The installed onnxruntime has no TensorRT: install onnxruntime-gpu in its place, and TensorRT."
            )
        super().__init__(artifact, threads, images_kept=images_kept)
        self._lanes = 1

    def _open(self, path: Path, threads: int) -> Graph:
        if path.name not in (ENCODER, NETWORK):
            return open_graph(path, threads, [CUDA, CPU], needed=CUDA)
        engine: Provider = (TENSORRT, _options(engines_folder(path)))
        return open_graph(path, threads, [engine, CUDA, CPU], needed=TENSORRT)


def engines_folder(path: Path) -> Path:
    """Where the engines of a graph are cached: a folder for its content, because an engine is found by names alone."""
    return cache_folder() / "tensorrt" / sha256_of(path)[:16]


def _options(folder: Path) -> dict[str, str]:
    make_folder(folder)
    return {
        "trt_fp16_enable": "False",
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
    }
