from __future__ import annotations

import gc
import random
from pathlib import Path

import pytest

from samlet.errors import OutputError
from samlet.labeling import runs
from samlet.labeling.runs import SortedRows

pa = pytest.importorskip("pyarrow")


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Runs of 300 rows, merged in blocks of 7, in a folder of their own."""
    monkeypatch.setattr(runs, "ROWS_OF_RUN", 300)
    monkeypatch.setattr(runs, "_LEAST_BLOCK", 7)
    monkeypatch.setattr(runs, "_ROWS_IN_MEMORY", 10)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def rows_of(keys, at_once=50):
    rows = SortedRows("key")
    for start in range(0, len(keys), at_once):
        some = keys[start : start + at_once]
        rows.add(pa.table({"key": pa.array(some, pa.large_string()), "row": range(start, start + len(some))}))
    return rows


def keys_of(rows):
    return [key for table in rows.blocks() for key in table["key"].to_pylist()]


@pytest.mark.parametrize("count", [0, 1, 299, 300, 301, 900])
@pytest.mark.parametrize("order", ["sorted", "reversed", "shuffled", "few keys"])
def test_rows_come_in_order_however_they_came(small, count, order):
    keys = [f"{number:05}ä" for number in range(count)]
    if order == "few keys":
        keys = [key[-3:] for key in keys]
    if order == "reversed":
        keys.reverse()
    elif order != "sorted":
        random.Random(1).shuffle(keys)
    rows = rows_of(keys)
    assert len(rows) == count
    assert keys_of(rows) == sorted(keys)
    assert keys_of(rows) == sorted(keys)  # and again
    assert len(list(small.rglob("*.parquet"))) == count // 300
    seen = sorted(row for table in rows.blocks() for row in table["row"].to_pylist())
    assert seen == list(range(count))


def test_in_order_one_run_is_read_after_the_other(small):
    tables = list(rows_of([f"{number:05}" for number in range(1000)]).blocks())
    assert max(table.num_rows for table in tables) <= 7


def test_some_rows_are_taken_by_number(small):
    rows = rows_of([f"{number:05}" for number in reversed(range(1000))])
    # a run lies sorted, the first one has the 300 last keys; what is no run yet lies as it came
    assert rows.take([0, 299, 300, 999])["key"].to_pylist() == ["00000", "00400", "00700", "00999"]
    assert len(rows.take(list(range(1000)))) == 1000


def test_runs_go_with_their_object_and_a_full_disk_is_told(small, monkeypatch):
    rows = rows_of([f"{number}" for number in range(700)])
    assert len(list(small.rglob("*.parquet"))) == 2
    del rows
    gc.collect()
    assert list(small.iterdir()) == []

    def full(*_, **__):
        raise OSError(28, "full")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(OutputError, match="the disk is full"):
        rows_of([f"{number}" for number in range(700)])


def test_few_rows_need_no_disk(small):
    rows = rows_of(["b", "a", "c"])
    assert keys_of(rows) == ["a", "b", "c"]
    assert list(Path(small).iterdir()) == []
