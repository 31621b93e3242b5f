"""The default backend: an exported artifact run by ONNX Runtime, on the CPU, or on CUDA where the installed runtime
offers it.

It knows graphs, sessions and batches; it does not know how the graphs were made (`samlet.export.onnx`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from samlet.backend import ArrayMaskLogits
from samlet.errors import BackendError
from samlet.prompts import HINT_SIZE
from samlet.runtime.artifact import DECODER, ENCODER, UPSCALER, Artifact
from samlet.spec import ModelSpec

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")  # the first one that is there does the work

# A prompt takes about 30 MB in the decoder and 20 MB in the upscaler; beyond some rows a run only gains memory traffic.
ROWS_PER_RUN = 8


class OnnxBackend:
    """Backend over an artifact folder; safe to use from many threads. Sessions are created when first needed."""

    name = "onnx"

    def __init__(self, artifact: Artifact, threads: int | None = None) -> None:
        self.spec: ModelSpec = artifact.spec
        self._artifact = artifact
        self._threads = default_threads() if threads is None else threads
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._lock = Lock()

    @classmethod
    def from_folder(cls, path: str | os.PathLike[str], threads: int | None = None) -> OnnxBackend:
        """Open an artifact folder. `threads`: CPU threads of one run (None: what suits this machine).

        Raises BackendError if the folder is no artifact, or a file in it is missing or damaged.
        """
        if threads is not None and threads < 1:
            raise BackendError(f"threads is {threads}: give at least 1.")
        return cls(Artifact.open(Path(path)), threads)

    def encode(self, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        """Normalised pixels float32 [N, 3, S, S] → "image_embeddings" float32 [N, 256, 64, 64]."""
        (embeddings,) = self._run(ENCODER, {"pixels": pixels})
        return {"image_embeddings": embeddings}

    def decode(
        self,
        features: Mapping[str, NDArray[Any]],
        points_xy: NDArray[np.float32],
        labels: NDArray[np.int64],
        mask_hint: NDArray[np.float32] | None = None,
        image_index: NDArray[np.int64] | None = None,
    ) -> ArrayMaskLogits:
        """Tokens of P prompts → candidates [P, 4]; see `samlet.backend.Backend`."""
        prompts = len(labels)
        outputs = (
            np.empty((prompts, 4), np.float32),
            np.empty((prompts, 4, 256), np.float32),
            np.empty((prompts, 64 * 64, 256), np.float32),
        )
        image_of = np.zeros(prompts, np.int64) if image_index is None else np.asarray(image_index)
        for rows in _runs(image_of, one_by_one=mask_hint is not None):
            image = image_of[rows[0]]
            inputs = {
                "image_embeddings": features["image_embeddings"][image : image + 1],
                "points_xy": points_xy[rows],
                "labels": labels[rows],
                **_hint_inputs(None if mask_hint is None else mask_hint[rows]),
            }
            for whole, part in zip(outputs, self._run(DECODER, inputs), strict=True):
                whole[rows] = part
        iou, mask_tokens, keys = outputs
        return ArrayMaskLogits(iou, lambda rows, columns: self._upscale(mask_tokens, keys, rows, columns))

    def _upscale(
        self,
        mask_tokens: NDArray[np.float32],
        keys: NDArray[np.float32],
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Logits [K, 256, 256]. The four masks of a prompt share nearly all the work, so each prompt runs once."""
        wanted, place = np.unique(rows, return_inverse=True)
        masks = np.empty((len(rows), HINT_SIZE, HINT_SIZE), np.float32)
        for start in range(0, len(wanted), ROWS_PER_RUN):
            part = wanted[start : start + ROWS_PER_RUN]
            (logits,) = self._run(UPSCALER, {"mask_tokens": mask_tokens[part], "keys": keys[part]})
            here = np.flatnonzero((place >= start) & (place < start + len(part)))
            masks[here] = logits[place[here] - start, columns[here]]
        return masks

    def _run(self, graph: str, inputs: dict[str, NDArray[Any]]) -> Sequence[Any]:
        try:
            return self._session(graph).run(None, inputs)
        except BackendError:
            raise
        except Exception as error:  # ONNX Runtime's errors have no common class
            raise BackendError(f"ONNX Runtime could not run {graph} of {self.spec.name}: {error}") from error

    def _session(self, graph: str) -> onnxruntime.InferenceSession:
        with self._lock:
            if graph not in self._sessions:
                self._sessions[graph] = _open_session(self._artifact.folder / graph, self._threads)
            return self._sessions[graph]


def default_threads() -> int:
    """Threads that suit this machine; 0 leaves it to ONNX Runtime, which takes one per physical core.

    It counts the cores of the whole machine, too many where `taskset` or a container allows this process only some.
    """
    if sys.platform != "linux":
        return 0
    usable = len(os.sched_getaffinity(0))
    return 0 if usable == os.cpu_count() else usable


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


def _hint_inputs(mask_hint: NDArray[np.float32] | None) -> dict[str, NDArray[np.float32]]:
    """The graph's two inputs for a hint [1, 256, 256]; a graph has no optional inputs."""
    if mask_hint is None:
        mask_hint = np.zeros((1, HINT_SIZE, HINT_SIZE), np.float32)
        return {"mask_hint": mask_hint, "has_mask_hint": np.zeros(1, np.float32)}
    return {"mask_hint": mask_hint, "has_mask_hint": np.ones(1, np.float32)}


def _runs(image_of: NDArray[np.int64], one_by_one: bool) -> Iterator[NDArray[np.int64]]:
    """Rows that one run of the decoder takes: prompts of one image, whose keys it projects once for all of them.

    A hint changes the image that a prompt sees, so prompts with hints share nothing and run one by one.
    """
    size = 1 if one_by_one else ROWS_PER_RUN
    for image in np.unique(image_of):
        rows = np.flatnonzero(image_of == image)
        yield from np.split(rows, range(size, len(rows), size))
