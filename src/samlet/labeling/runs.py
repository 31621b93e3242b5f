"""Rows in order of one column, more of them than memory holds: sorted runs, kept on the disk, merged when read.

Knows Arrow tables, not what is in them. A table of few rows is one run, which stays in memory.
"""

from __future__ import annotations

import heapq
import itertools
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samlet.extras import import_with_extra
from samlet.files import output_error

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_OF_RUN = 131_072
_ROWS_IN_MEMORY = 1 << 17  # of all runs together while they are merged
_LEAST_BLOCK = 1024


class SortedRows:
    """Collects tables and gives their rows in the order of the column `key`, which holds text.

    What does not fit into a run lies in the folder of temporary files as long as this object lives.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._waiting: list[pa.Table] = []
        self._runs: list[Path] = []
        self._rows_of_run: list[int] = []
        self._folder: Path | None = None

    def __len__(self) -> int:
        return sum(self._rows_of_run) + sum(table.num_rows for table in self._waiting)

    def add(self, table: pa.Table) -> None:
        """More rows, in any order; OutputError if the disk of temporary files is full."""
        self._waiting.append(table)
        if sum(waiting.num_rows for waiting in self._waiting) >= ROWS_OF_RUN:
            self._put_away()

    def blocks(self) -> Iterator[pa.Table]:
        """All rows in order, some at a time; rows with equal keys come together, or are neighbors."""
        rows = max(_LEAST_BLOCK, _ROWS_IN_MEMORY // (len(self._runs) + 1))
        streams = [self._stored(run, rows) for run in self._runs]
        if self._waiting:
            streams.append(self._last_run(rows))
        number = itertools.count()
        heap: list[tuple[str, int, pa.Table, Iterator[pa.Table]]] = []

        def push(table: pa.Table | None, stream: Iterator[pa.Table]) -> None:
            table = next(stream, None) if table is None or not table.num_rows else table
            if table is not None:
                heapq.heappush(heap, (self._at(table, 0), next(number), table, stream))

        for stream in streams:
            push(None, stream)
        while heap:
            taken = [heapq.heappop(heap)]
            bound = self._at(taken[0][2], -1)
            while heap and heap[0][0] <= bound:
                taken.append(heapq.heappop(heap))
                bound = min(bound, self._at(taken[-1][2], -1))
            parts = []
            for _, _, table, stream in taken:
                count = self._count_until(table, bound)
                parts.append(table.slice(0, count))
                push(table.slice(count), stream)
            yield parts[0] if len(parts) == 1 else _arrow().concat_tables(parts).sort_by(self._key)

    def take(self, rows: list[int]) -> pa.Table:
        """The rows with these numbers, in the order in which runs lie one after the other, then sorted."""
        found, start = [], 0
        tables: Iterator[tuple[int, Any]] = itertools.chain(
            zip(self._rows_of_run, self._runs, strict=True),
            ((table.num_rows, table) for table in self._waiting),
        )
        for count, run in tables:
            wanted = [row - start for row in rows if start <= row < start + count]
            if wanted:
                table = _parquet().read_table(run) if isinstance(run, Path) else run
                found.append(table.take(wanted))
            start += count
        return _arrow().concat_tables(found).sort_by(self._key)

    def _put_away(self) -> None:
        """Make a run of what waits."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="samlet-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / f"{len(self._runs)}.parquet"
        table = self._sorted()
        try:
            _parquet().write_table(table, path, row_group_size=_LEAST_BLOCK * 16, compression="zstd")
        except OSError as error:
            raise output_error(path, error) from error
        self._runs.append(path)
        self._rows_of_run.append(table.num_rows)
        self._waiting = []

    def _sorted(self) -> pa.Table:
        table = _arrow().concat_tables(self._waiting)
        keys = table[self._key]
        compute = import_with_extra("pyarrow.compute", "label", "samlet label")
        in_order = len(keys) < 2 or compute.all(compute.less_equal(keys[:-1], keys[1:])).as_py()
        return table if in_order else table.sort_by(self._key)

    def _last_run(self, rows: int) -> Iterator[pa.Table]:
        table = self._sorted()
        return (table.slice(start, rows) for start in range(0, table.num_rows, rows))

    def _stored(self, run: Path, rows: int) -> Iterator[pa.Table]:
        with _parquet().ParquetFile(run) as file:
            for batch in file.iter_batches(rows):
                yield _arrow().Table.from_batches([batch])

    def _at(self, table: pa.Table, row: int) -> str:
        return table[self._key][row].as_py()

    def _count_until(self, table: pa.Table, bound: str) -> int:
        """How many rows, from the first on, are not behind `bound`."""
        if self._at(table, -1) <= bound:
            return table.num_rows
        compute = import_with_extra("pyarrow.compute", "label", "samlet label")
        return compute.sum(compute.less_equal(table[self._key], bound)).as_py()


def _arrow() -> Any:
    return import_with_extra("pyarrow", "label", "samlet label")


def _parquet() -> Any:
    return import_with_extra("pyarrow.parquet", "label", "samlet label")
