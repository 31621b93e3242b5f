"""The seam over the graphs of an artifact, whatever runs them: batches, hints and lazy upscaling, written once.

It knows the inputs and outputs of the graphs; it does not know sessions, threads or devices.
"""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from samlet.backend import ArrayMaskLogits
from samlet.errors import BackendError
from samlet.prompts import HINT_SIZE
from samlet.runtime.artifact import DECODER, ENCODER, PIECES, PROJECTOR, UPSCALED, UPSCALER, Artifact
from samlet.runtime.shared import KeptImages, runs_of
from samlet.spec import ModelSpec

# A prompt takes about 10 MB in the decoder and 30 MB in the upscaler, which takes prompts one by one: more rows in a
# run only gain memory traffic. Several runs go side by side, one core each: many operations are too small to share.
ROWS_PER_RUN = 4

Graph = Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]  # arrays by name in, arrays by name out
Item = TypeVar("Item")
Result = TypeVar("Result")
AnyGraphBackend = TypeVar("AnyGraphBackend", bound="GraphBackend")


class GraphBackend(ABC):
    """Backend over an artifact folder; safe to use from many threads if its graphs are.

    A subclass says how one graph file is opened. Graphs are opened when first needed.
    """

    name: str
    runtime: str  # the name of the library, for people

    def __init__(self, artifact: Artifact, threads: int | None = None) -> None:
        self.spec: ModelSpec = artifact.spec
        self._artifact = artifact
        self._threads = default_threads() if threads is None else _checked(threads)
        self._lanes = self._threads or usable_cores()  # runs at the same time; 1 where a GPU shares out each operation
        self._graphs: dict[tuple[str, int], Graph] = {}
        self._kept: KeptImages[dict[str, NDArray[Any]]] = KeptImages()
        self._lock = Lock()

    @classmethod
    def from_folder(
        cls: type[AnyGraphBackend], path: str | os.PathLike[str], threads: int | None = None
    ) -> AnyGraphBackend:
        """Open an artifact folder. `threads`: CPU threads of one run (None: what suits this machine).

        Raises BackendError if the folder is no artifact, or a file in it is missing or damaged.
        """
        return cls(Artifact.open(Path(path)), threads)

    @abstractmethod
    def _open(self, path: Path, threads: int) -> Graph:
        """Make one graph file ready to run on `threads` threads (0: the runtime's choice); BackendError if it fails."""

    def encode(self, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        """Normalized pixels float32 [N, 3, S, S] → "image_embeddings" float32 [N, 256, 64, 64] and what else it has."""
        return self._run(ENCODER, {"pixels": pixels})

    def decode(
        self,
        features: Mapping[str, NDArray[Any]],
        points_xy: NDArray[np.float32],
        labels: NDArray[np.int64],
        mask_hint: NDArray[np.float32] | None = None,
        image_index: NDArray[np.int64] | None = None,
    ) -> ArrayMaskLogits:
        """Tokens of P prompts → candidates [P, 4]; see `samlet.backend.Backend`."""
        iou = np.empty((len(labels), 4), np.float32)
        image_of = np.zeros(len(labels), np.int64) if image_index is None else np.asarray(image_index)
        parts: list[tuple[NDArray[np.int64], dict[str, NDArray[Any]]]] = []
        for rows in runs_of(image_of, ROWS_PER_RUN if mask_hint is None else 1):
            image = int(image_of[rows[0]])
            if mask_hint is None and parts and image_of[parts[-1][0][0]] == image:
                shared = parts[-1][1]
            else:
                hint = None if mask_hint is None else mask_hint[rows]
                shared = self._shared(features["image_embeddings"], image, hint)
            parts.append((rows, shared))

        def run(part: tuple[NDArray[np.int64], dict[str, NDArray[Any]]], threads: int) -> _Run:
            rows, shared = part
            decoded = self._run(DECODER, {"points_xy": points_xy[rows], "labels": labels[rows], **shared}, threads)
            iou[rows] = decoded["iou"]
            return _Run(rows, shared, decoded)

        runs = self._side_by_side(run, parts)
        return ArrayMaskLogits(iou, lambda rows, columns: self._upscale(runs, rows, columns))

    def _shared(
        self, embeddings: NDArray[np.float32], image: int, mask_hint: NDArray[np.float32] | None
    ) -> dict[str, NDArray[Any]]:
        """What all prompts of an image share. It is kept for embeddings that cannot change, for clicks yet to come."""

        def project() -> dict[str, NDArray[Any]]:
            inputs = {"image_embeddings": embeddings[image : image + 1], **_hint_inputs(mask_hint)}
            return self._run(PROJECTOR, inputs)

        return self._kept.get(embeddings, image, project) if mask_hint is None else project()

    def _upscale(
        self, runs: Sequence[_Run], rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Logits [K, 256, 256]. The masks of a prompt share nearly all the work, so each prompt runs once."""
        masks = np.empty((len(rows), HINT_SIZE, HINT_SIZE), np.float32)

        def upscale(prompt: tuple[_Run, int], threads: int) -> None:
            run, place = prompt
            here = np.flatnonzero(rows == run.rows[place])
            inputs = {name: run.decoded[name][place : place + 1] for name in ("mask_tokens", *PIECES)}
            shared = {UPSCALED: run.shared[UPSCALED], "columns": columns[here]}
            masks[here] = self._run(UPSCALER, {**inputs, **shared}, threads)["logits"][0]

        wanted = [(run, int(place)) for run in runs for place in np.flatnonzero(np.isin(run.rows, rows))]
        self._side_by_side(upscale, wanted)
        return masks

    def _side_by_side(self, work: Callable[[Item, int], Result], items: Sequence[Item]) -> list[Result]:
        """work(item, threads) of every item: a lone one may use all threads, of several each has one."""
        if len(items) < 2 or self._lanes < 2:
            return [work(item, self._threads) for item in items]
        with ThreadPoolExecutor(min(self._lanes, len(items))) as pool:
            return list(pool.map(lambda item: work(item, 1), items))

    def _run(self, name: str, inputs: dict[str, NDArray[Any]], threads: int | None = None) -> dict[str, NDArray[Any]]:
        graph = self._graph(name, threads)
        try:
            return graph(inputs)
        except Exception as error:  # the errors of a runtime have no common class
            raise BackendError(f"{self.runtime} could not run {name} of {self.spec.name}: {error}") from error

    def _graph(self, name: str, threads: int | None = None) -> Graph:
        threads = self._threads if threads is None else threads
        with self._lock:
            if (name, threads) not in self._graphs:
                self._graphs[name, threads] = self._open(self._artifact.folder / name, threads)
            return self._graphs[name, threads]


@dataclass(frozen=True)
class _Run:
    """Some prompts (`rows` of all) of one image: what they share with its other prompts, and what the decoder said."""

    rows: NDArray[np.int64]
    shared: dict[str, NDArray[Any]]
    decoded: dict[str, NDArray[Any]]


def default_threads() -> int:
    """Threads that suit this machine; 0 leaves it to the runtime, which takes one per physical core.

    A runtime counts the cores of the whole machine, too many where `taskset` or a container allows only some.
    """
    usable = usable_cores()
    return 0 if usable == os.cpu_count() else usable


def usable_cores() -> int:
    """Logical cores this process may use; a container or `taskset` may allow fewer than there are."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _checked(threads: int) -> int:
    if threads < 1:
        raise BackendError(f"threads is {threads}: give at least 1.")
    return threads


def _hint_inputs(mask_hint: NDArray[np.float32] | None) -> dict[str, NDArray[np.float32]]:
    """The projector's two inputs for a hint [1, 256, 256]; a graph has no optional inputs."""
    if mask_hint is None:
        mask_hint = np.zeros((1, HINT_SIZE, HINT_SIZE), np.float32)
        return {"mask_hint": mask_hint, "has_mask_hint": np.zeros(1, np.float32)}
    return {"mask_hint": mask_hint, "has_mask_hint": np.ones(1, np.float32)}
