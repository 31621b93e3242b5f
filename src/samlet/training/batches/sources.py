"""The data of a run: every kind of source as one sequence of samples, of which some are read only when asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from samlet.data import Broken, Sample, open_data
from samlet.data.class_data import Kind, open_class_data
from samlet.data.opening import check_missing, shards_in
from samlet.data.shard_index import IndexedShard, open_shards


class Source(Sequence[Sample]):
    """Samples that are known, then those of shards, whose records stay on disk until an image is drawn."""

    def __init__(self, known: Sequence[Sample], shards: Sequence[IndexedShard] = ()) -> None:
        self.known = len(known)
        self._parts: list[Sequence[Sample]] = [known, *shards]
        self._ends = list(accumulate(map(len, self._parts)))

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        part = bisect_right(self._ends, index)
        return self._parts[part][index - self._ends[part] + len(self._parts[part])]


class ClassSource(Source):
    """Samples of classes, whose names are `classes`."""

    def __init__(self, known: Sequence[Sample], classes: tuple[str, ...]) -> None:
        super().__init__(known)
        self.classes = classes


class Picked(Sequence[Sample]):
    """Some samples of others, in an order of its own."""

    def __init__(self, samples: Sequence[Sample], order: NDArray[np.int64]) -> None:
        self._samples, self._order = samples, order

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self._samples[int(i)] for i in self._order[index]]
        return self._samples[int(self._order[index])]

    def without(self, unwanted: Callable[[Sample], bool]) -> Picked:
        """All but the unwanted. A sample that is not known yet stays: to ask would be to read every record."""
        known = self._samples.known if isinstance(self._samples, Source) else len(self._samples)
        kept = [i for i in self._order if i >= known or not unwanted(self._samples[int(i)])]
        return Picked(self._samples, np.array(kept, np.int64))


def open_source(
    paths: Sequence[Path],
    images: Path | None = None,
    allow_missing: int = 0,
    broken: Broken | None = None,
    tell: Callable[[str], None] | None = None,
) -> Source:
    """The samples of folders, COCO, LVIS and labelme files (read now) and of SA-1B shards (read when asked for).

    Parameters and errors as `samlet.data.open_data`. An annotation read now takes 0.6 kB and its code, so a million of
    them a gigabyte or two; one in a shard takes nothing.
    """
    shards = open_shards([shard for path in paths for shard in shards_in(path)])
    opened = open_data([path for path in paths if not shards_in(path)], images, allow_missing, broken, tell)
    missing = [*opened.missing, *(name for shard in shards for name in shard.missing)]
    check_missing(missing, len(opened.samples) + sum(map(len, shards)), allow_missing)
    return Source(opened.samples, shards)


def open_class_source(
    paths: Sequence[Path], kind: Kind, images: Path | None = None, allow_missing: int = 0
) -> ClassSource:
    """The samples of folders or tables of classes; parameters and errors as `samlet.data.class_data`."""
    opened = open_class_data(paths, kind, "train", images, allow_missing)
    return ClassSource(opened.samples, opened.classes)
