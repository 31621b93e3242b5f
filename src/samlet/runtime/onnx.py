"""The default backend: an exported artifact run by ONNX Runtime, on the CPU, or on CUDA where the installed runtime
offers it.

It knows devices; sessions are in `samlet.runtime.sessions`, what they are asked is in `samlet.runtime.graphs`, how the
graphs were made in `samlet.export.onnx`.
"""

from __future__ import annotations

import os
from pathlib import Path

from samlet.errors import BackendError
from samlet.runtime.artifact import Artifact
from samlet.runtime.graphs import Graph, GraphBackend
from samlet.runtime.sessions import CPU, CUDA, has, open_graph
from samlet.runtime.shared import IMAGES_KEPT

DEVICES = ("cpu", "cuda")


class OnnxBackend(GraphBackend):
    """Backend over an artifact folder; safe to use from many threads. Sessions are created when first needed.

    `device`: "cpu", or "cuda" (BackendError where the installed onnxruntime has none); None takes CUDA where it can.
    """

    name = "onnx"
    runtime = "ONNX Runtime"

    def __init__(
        self,
        artifact: Artifact,
        threads: int | None = None,
        device: str | None = None,
        *,
        images_kept: int = IMAGES_KEPT,
    ) -> None:
        super().__init__(artifact, threads, images_kept=images_kept)
        self._device = _usable(device)
        self._on_cuda = self._device != "cpu" and has(CUDA)
        if self._on_cuda:
            self._lanes = 1

    @classmethod
    def from_folder(
        cls,
        path: str | os.PathLike[str],
        threads: int | None = None,
        device: str | None = None,
        *,
        images_kept: int = IMAGES_KEPT,
    ) -> OnnxBackend:
        """Open an artifact folder; see `GraphBackend.from_folder` and this class."""
        return cls(Artifact.open(Path(path)), threads, device, images_kept=images_kept)

    def _open(self, path: Path, threads: int) -> Graph:
        providers = [CUDA, CPU] if self._on_cuda else [CPU]
        return open_graph(path, threads, providers, needed=CUDA if self._device == "cuda" else CPU)


def _usable(device: str | None) -> str | None:
    if device not in (None, *DEVICES):
        raise BackendError(f'The backend onnx has no device "{device}": use {", ".join(DEVICES)}, or backend "torch".')
    if device == "cuda" and not has(CUDA):
        raise BackendError(
            'The installed onnxruntime cannot use the device "cuda": install onnxruntime-gpu instead, or use "cpu".'
        )
    return device
