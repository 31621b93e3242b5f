"""The seams over the graphs of an artifact, whatever runs them: batches, hints and lazy upscaling, written once.

It knows the inputs and outputs of the graphs; it does not know sessions, threads or devices.
"""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from samlet.backend import ArrayMaskLogits
from samlet.errors import BackendError
from samlet.runtime.artifact import DECODER, ENCODER, LONE, NETWORK, PIECES, PROJECTOR, UPSCALED, UPSCALER, Artifact
from samlet.runtime.shared import IMAGES_KEPT, LoneImage, Part, Run, SharedOfImages
from samlet.spec import ModelSpec
from samlet.tokens import PromptTokens

# A prompt takes about 10 MB in the decoder and 30 MB in the upscaler, which takes prompts one by one: more rows in a
# run only gain memory traffic. Several runs go side by side, one core each: many operations are too small to share.
ROWS_PER_RUN = 4

_Arrays: TypeAlias = dict[str, NDArray[Any]]
Graph = Callable[[_Arrays], _Arrays]  # arrays by name in, arrays by name out
Item = TypeVar("Item")
Result = TypeVar("Result")
AnyGraphBackend = TypeVar("AnyGraphBackend", bound="GraphBackend")


class GraphBackend(ABC):
    """Backend over an artifact folder; safe to use from many threads if its graphs are.

    A subclass says how one graph file is opened. Graphs are opened when first needed.
    """

    name: str
    runtime: str  # the name of the library, for people

    def __init__(self, artifact: Artifact, threads: int | None = None, *, images_kept: int = IMAGES_KEPT) -> None:
        self.spec: ModelSpec = artifact.spec
        self._artifact = artifact
        self._threads = default_threads() if threads is None else _checked(threads)
        self._lanes = self._threads or usable_cores()  # runs at the same time; 1 where a GPU shares out each operation
        self._graphs: dict[tuple[str, int], Graph] = {}
        self._images: SharedOfImages[_Arrays] = SharedOfImages(self._project, images_kept, alone=artifact.has_lone)
        self._lock = Lock()

    @classmethod
    def from_folder(
        cls: type[AnyGraphBackend],
        path: str | os.PathLike[str],
        threads: int | None = None,
        *,
        images_kept: int = IMAGES_KEPT,
    ) -> AnyGraphBackend:
        """Open an artifact folder. `threads`: CPU threads of one run (None: what suits this machine). `images_kept`:
        for how many images the arrays that all their prompts share wait for more prompts (31 MB each in SAM's sizes).

        Raises BackendError if the folder is no artifact, or a file in it is missing or damaged.
        """
        return cls(Artifact.open(Path(path)), threads, images_kept=images_kept)

    @property
    def folder(self) -> Path:
        """Where the graphs lie."""
        return self._artifact.folder

    @abstractmethod
    def _open(self, path: Path, threads: int) -> Graph:
        """Make one graph file ready to run on `threads` threads (0: the runtime's choice); BackendError if it fails."""

    def encode(self, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        """Normalized pixels float32 [N, 3, S, S] → "image_embeddings" float32 [N, C, G, G] and what else it has."""
        return self._run(ENCODER, {"pixels": pixels})

    def logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalized pixels float32 [N, 3, H, W] → logits; see `samlet.backend.LogitsBackend`."""
        return self._run(NETWORK, {"pixels": pixels})["logits"]

    def decode(self, features: Mapping[str, NDArray[Any]], tokens: PromptTokens) -> ArrayMaskLogits:
        """P prompts → candidates [P, M]; see `samlet.backend.Backend`."""
        iou = np.empty((len(tokens), self.spec.mask_tokens), np.float32)

        def decode(run: Run[_Arrays], threads: int) -> _Arrays:
            given = {"points_xy": tokens.points_xy[run.rows], "labels": tokens.labels[run.rows]}
            if isinstance(run.shared, LoneImage):
                decoded = self._run(LONE, given | self._inputs(run.shared), threads)
                decoded |= _nothing_mixed(len(decoded[UPSCALED]), self.spec.image.channels)
            else:
                decoded = self._run(DECODER, given | run.shared, threads) | {UPSCALED: run.shared[UPSCALED]}
            iou[run.rows] = decoded["iou"]
            return decoded

        runs = list(self._images.runs(features["image_embeddings"], tokens, ROWS_PER_RUN))
        answers = list(zip(runs, self._side_by_side(decode, runs), strict=True))
        side = self.spec.image.low_res
        return ArrayMaskLogits(iou, lambda rows, columns: self._upscale(answers, rows, columns), side)

    def _project(self, image: LoneImage) -> _Arrays:
        return self._run(PROJECTOR, self._inputs(image))

    def _inputs(self, image: LoneImage) -> _Arrays:
        return {"image_embeddings": image.embedding, **_hint_inputs(image.mask_hint, self.spec.image.low_res)}

    def _upscale(
        self, answers: Sequence[tuple[Run[_Arrays], _Arrays]], rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Logits [K, L, L]. The masks of a prompt share nearly all the work, so each prompt runs once."""
        side = self.spec.image.low_res
        masks = np.empty((len(rows), side, side), np.float32)

        def upscale(prompt: tuple[_Arrays, Part], threads: int) -> None:
            decoded, part = prompt
            inputs = {name: decoded[name][part.places] for name in ("mask_tokens", *PIECES)}
            asked = {UPSCALED: decoded[UPSCALED], "columns": columns[part.here]}
            masks[part.here] = self._run(UPSCALER, inputs | asked, threads)["logits"][0]

        self._side_by_side(upscale, [(decoded, part) for run, decoded in answers for part in run.parts(rows, 1)])
        return masks

    def _side_by_side(self, work: Callable[[Item, int], Result], items: Sequence[Item]) -> list[Result]:
        """work(item, threads) of every item: a lone one may use all threads, of several each has one."""
        if len(items) < 2 or self._lanes < 2:
            return [work(item, self._threads) for item in items]
        with ThreadPoolExecutor(min(self._lanes, len(items))) as pool:
            return list(pool.map(lambda item: work(item, 1), items))

    def _run(self, name: str, inputs: _Arrays, threads: int | None = None) -> _Arrays:
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


def _hint_inputs(mask_hint: NDArray[np.float32] | None, side: int) -> dict[str, NDArray[np.float32]]:
    """The two inputs for a hint [1, L, L]; a graph has no optional inputs."""
    if mask_hint is None:
        return {"mask_hint": np.zeros((1, side, side), np.float32), "has_mask_hint": np.zeros(1, np.float32)}
    return {"mask_hint": mask_hint, "has_mask_hint": np.ones(1, np.float32)}


def _nothing_mixed(pixels: int, channels: int) -> _Arrays:
    """The pieces of one prompt that leave its image as it is."""
    weights, vectors = np.zeros((1, 1, pixels), np.float32), np.zeros((1, 1, channels), np.float32)
    return dict(zip(PIECES, (weights, vectors, np.ones_like(weights)), strict=True))
