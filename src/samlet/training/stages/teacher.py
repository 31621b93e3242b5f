"""The teacher: a model whose embeddings a student imitates, with a cache on disk.

It runs behind the same seam as inference, so it may be a torch checkpoint or an exported artifact.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Backend
from samlet.errors import DataError
from samlet.files import make_folder, write_aside
from samlet.preprocess import to_pixels
from samlet.reading import read_npz

KEY = "embedding"


def cache_folder(cache: Path, name: str, weights_hash: str) -> Path:
    """Where the embeddings of a teacher are kept."""
    return cache / f"{name}-{weights_hash[:16]}"


class Teacher:
    """Embeds views of images, each at most once. `weights_hash` keeps the caches of different weights apart."""

    def __init__(self, backend: Backend, cache: Path, weights_hash: str) -> None:
        self.backend = backend
        self._cache = make_folder(cache_folder(cache, backend.spec.name, weights_hash))

    def embed(self, image: NDArray[np.uint8]) -> NDArray[np.float16]:
        """uint8 RGB [H, W, 3] -> float16 [256, 64, 64], from the cache if it holds this image."""
        path = self._path(image)
        stored = _read(path)
        if stored is None:
            pixels, _ = to_pixels(image, self.backend.spec.image)
            stored = self.backend.encode(pixels[None])["image_embeddings"][0].astype(np.float16)
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
        return read_npz(path, "a cached embedding").get(KEY)
    except DataError:
        return None
