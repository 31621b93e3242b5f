"""The masks of a raster on the disk, numbered as they come: in memory there is a line of numbers for each."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from samlet.files import aside_path, forget, output_error
from samlet.geometry.runs import Runs
from samlet.geometry.windows import Window

_COLUMNS = 7


class MaskSpool:
    """Masks that are added one by one and read back by place; its file, in `folder`, goes when the `with` ends."""

    def __init__(self, folder: Path) -> None:
        self._path = aside_path(folder / "masks.spool")
        self._file = self._path.open("w+b")
        self._numbers = array("q")  # of each mask: its box, where in the file it is, its runs, its area
        self._table: NDArray[np.int64] | None = None

    def __enter__(self) -> MaskSpool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        forget(self._path)

    def __len__(self) -> int:
        return len(self._numbers) // _COLUMNS

    def add(self, runs: Runs) -> int:
        """Keep a mask and return its number, counted from 1. OutputError if the disk is full."""
        try:
            place = self._file.seek(0, 2)
            self._file.write(np.stack([runs.columns, runs.tops, runs.bottoms]).tobytes())
        except OSError as error:
            raise output_error(self._path, error) from error
        self._numbers.extend((*runs.box_xyxy, place, len(runs.columns), runs.area_px))
        self._table = None
        return len(self)

    def in_window(self, window: Window) -> Iterator[tuple[int, Runs]]:
        """Numbers and masks of which some may lie in a window; the largest mask first."""
        if self._table is None:
            self._table = np.array(self._numbers, np.int64).reshape(-1, _COLUMNS)
        table = self._table
        left, top, right, bottom, *_, area_px = table.T
        here = (left < window.right) & (right > window.left) & (top < window.bottom) & (bottom > window.top)
        numbers = np.flatnonzero(here)
        for number in numbers[np.argsort(-area_px[numbers], kind="stable")].tolist():
            yield number + 1, self._runs(*table[number, 4:6].tolist())

    def _runs(self, place: int, count: int) -> Runs:
        self._file.seek(place)
        return Runs(*np.frombuffer(self._file.read(count * 24), np.int64).reshape(3, count))
