"""The teacher: a model whose embeddings a student imitates, with a cache on disk.

It runs behind the same seam as inference, so it may be a torch checkpoint or an exported artifact.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Backend
from samlet.errors import CheckpointError, DataError
from samlet.files import make_folder, sha256_of, write_aside
from samlet.models import Sam
from samlet.preprocess import to_pixels
from samlet.reading import read_npz
from samlet.runtime.torch import TorchBackend
from samlet.training.loop.processes import own_device
from samlet.training.stages.students import load_student

KEY = "embedding"


def cache_folder(cache: Path, name: str, weights_hash: str) -> Path:
    """Where the embeddings of a teacher are kept."""
    return cache / f"{name}-{weights_hash[:16]}"


@dataclass(frozen=True)
class TeacherFile:
    """A teacher's name and weights, and where its embeddings are kept (None: in the output of the run)."""

    name: str
    checkpoint: Path
    cache: Path | None = None

    def folder(self, output: Path) -> Path:
        """The folder of its embeddings; CheckpointError if the weights are not there."""
        if not self.checkpoint.is_file():
            raise CheckpointError(f"{self.checkpoint} does not exist: give the weights of {self.name}.")
        return cache_folder(self.cache or output / "teacher", self.name, sha256_of(self.checkpoint))

    def open(self, output: Path, device: str | None = None) -> tuple[Sam, Teacher]:
        """The model on a run's device, and its cached embeddings. CheckpointError if the weights are not its own."""
        self.folder(output)
        model = load_student(self.name, self.checkpoint)
        backend = TorchBackend(model, model.spec, own_device(device))
        return model, Teacher(backend, self.cache or output / "teacher", sha256_of(self.checkpoint))


class Teacher:
    """Embeds views of images, each at most once. `weights_hash` keeps the caches of different weights apart.

    Nothing is written before the first embedding.
    """

    def __init__(self, backend: Backend, cache: Path, weights_hash: str) -> None:
        self.backend = backend
        self._cache = cache_folder(cache, backend.spec.name, weights_hash)

    def embed(self, image: NDArray[np.uint8]) -> NDArray[np.float16]:
        """uint8 RGB [H, W, 3] -> float16 [256, 64, 64], from the cache if it holds this image.

        The numbers lie in memory in the same order whether they were read or made: sums over them depend on it.
        """
        path = self._path(image)
        stored = _read(path)
        if stored is None:
            pixels, _ = to_pixels(image, self.backend.spec.image)
            stored = self.backend.encode(pixels[None])["image_embeddings"][0].astype(np.float16, order="C")
            make_folder(self._cache)
            with write_aside(path) as aside, aside.open("wb") as file:
                np.savez(file, **{KEY: stored})
        return stored

    def _path(self, image: NDArray[np.uint8]) -> Path:
        digest = hashlib.sha256(repr(image.shape).encode())
        digest.update(np.ascontiguousarray(image).data)
        return self._cache / f"{digest.hexdigest()[:32]}.npz"


def _read(path: Path) -> NDArray[np.float16] | None:
    """A cached embedding, or None if it is absent or damaged (the archive's checksum tells): then it is made again."""
    try:
        stored = read_npz(path, "a cached embedding").get(KEY)
    except DataError:
        return None
    return None if stored is None else np.ascontiguousarray(stored)
