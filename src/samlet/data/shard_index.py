"""Shards whose records are read when they are asked for: what training on SA-1B needs, which fits no memory at once.

What stays in memory is where each image and its record lie, about 40 bytes an image: 0.4 MB for the million masks of
10,000 images. Listing a shard means a walk over its headers, so the list is kept in the cache folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from samlet.data.sample import Sample
from samlet.data.shards import Member, list_pairs, read_pair
from samlet.errors import DataError, OutputError
from samlet.files import make_folder, write_aside
from samlet.hub.folder import cache_folder
from samlet.reading import read_npz, reading

_VERSION = 2  # of what is kept: 2 has whole paths, and only of shards that are whole


class Places(NamedTuple):
    """Where a shard's images lie, by name: names [N] in UTF-8; (offset, size) [N, 2], size -1 for no record."""

    names: NDArray[np.bytes_]
    images: NDArray[np.int64]
    records: NDArray[np.int64]
    missing: NDArray[np.bytes_]


class IndexedShard(Sequence[Sample]):
    """The images of one shard by name; asking for one reads its record, and DataError names a damaged one.

    `missing` names the records without an image. `prefix` opens the names of its samples.
    """

    def __init__(self, path: Path, prefix: str = "") -> None:
        self._path, self._places, self._prefix = path, _places(path), prefix
        self.missing = [name.decode(errors="surrogateescape") for name in self._places.missing]

    def __len__(self) -> int:
        return len(self._places.names)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        name = self._places.names[index].decode(errors="surrogateescape")
        offset, size = self._places.records[index].tolist()
        record = None if size < 0 else Member(self._path, str(PurePosixPath(name).with_suffix(".json")), offset, size)
        sample = read_pair(Member(self._path, name, *self._places.images[index].tolist()), record)
        return replace(sample, name=self._prefix + sample.name) if self._prefix else sample


def open_shards(paths: Sequence[Path]) -> list[IndexedShard]:
    """The shards; where two images have one name, each is named with the path of its shard."""
    shards = [IndexedShard(path) for path in paths]
    names = np.concatenate([shard._places.names for shard in shards]) if shards else np.empty(0)
    if len(np.unique(names)) == len(names):
        return shards
    return [IndexedShard(path, f"{path.as_posix().strip('/')}/") for path in paths]


def _places(path: Path) -> Places:
    """From the cache if it holds this state of the file, else from the file's headers."""
    with reading(path, "a tar"):
        state = path.stat()
    identity = f"{path.resolve()}|{state.st_size}|{state.st_mtime_ns}|{_VERSION}"
    kept = cache_folder() / "shards" / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.npz"
    try:
        return Places(**read_npz(kept, "a list of a shard"))
    except (DataError, TypeError):
        places = _walk(path)
    try:
        make_folder(kept.parent)
        with write_aside(kept) as aside, aside.open("wb") as file:
            np.savez(file, **places._asdict())
    except OutputError:
        return places  # a cache that cannot be written costs the next start a walk, nothing more
    return places


def _walk(path: Path) -> Places:
    pairs, missing = list_pairs(path)
    return Places(
        _names([image.name for image, _ in pairs]),
        np.array([(image.offset, image.size) for image, _ in pairs], np.int64).reshape(-1, 2),
        np.array([(r.offset, r.size) if r else (0, -1) for _, r in pairs], np.int64).reshape(-1, 2),
        _names(missing),
    )


def _names(names: list[str]) -> NDArray[np.bytes_]:
    return np.array([name.encode(errors="surrogateescape") for name in names], np.bytes_)
