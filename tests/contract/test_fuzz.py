"""3,000 damaged files, drawn from one seed, through every reader: each is read or refused with a sentence of samlet's.

No other exception comes out, nothing is printed, no warning is given, no file takes more than `SLOWEST_S` or makes the
process grow by more than `MOST_MIB`. To try other damage: SAMLET_FUZZ_SEED=7 and SAMLET_FUZZ_COUNT=20000.
"""

from __future__ import annotations

import os
import random
import re
import resource
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")  # the app's projects are read too

from tests.readers import Reader, readers

from samlet.errors import SamletError

SEED = os.environ.get("SAMLET_FUZZ_SEED", "1")
COUNT = int(os.environ.get("SAMLET_FUZZ_COUNT", "3000"))
SLOWEST_S = 10.0  # a machine that others use too; most take a millisecond
MOST_MIB = 1024
LONGEST_SENTENCE = 2000

NAMES = [
    "photo.jpg", "photo.png", "gray16.png", "color16.png", "photo.tif", "packed.tif", "photo.webp", "photo.bmp",
    "photo.gif", "a_1.json", "drawn.json", "instances.json", "a_1.txt", "a_1.png", "masks.json", "found.json", "x.tar",
    "y.tar", "photo.npz", "weights.pt", "weights.safetensors", "checkpoint.pt", "manifest.json", "config.json",
    "log.jsonl", "report.json", "images.jsonl", "classes.txt", "classes.csv", "labels/a.png", "objectInfo150.txt",
    "colors.txt", "photos.tsv", "pack-000.tar", "named.safetensors", "choice.json", "marked.json",
    "marked.safetensors", "rows.csv", "rows.jsonl", "listed.json", "job.json", "lease.json", "status.json",
    "shards/00000000.json", "000000.jsonl", "scene.png", "raster.tif",
    ".samlet/annotations/589cdc3898075d818521.json", ".samlet/labels.json", "import.json", "import_drawn.json",
    "import_a_1.json",
]  # fmt: skip


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMLET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def reader(request: pytest.FixtureRequest, cache_folder: None) -> Reader:
    return next(reader for reader in readers() if reader.name == request.param)


def put(folder: Path, reader: Reader, content: bytes) -> Path:
    for name, beside in (*reader.beside, (reader.name, content)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(beside)
    return folder / reader.name


def fault(read: Callable[[Path], Any], path: Path) -> str | None:
    """What is wrong with how a file is read or refused; None if nothing is."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            read(path)
        except SamletError as error:
            sentence = str(error)
            if len(sentence) > LONGEST_SENTENCE or not re.search(r"[.…?]$", sentence):
                return f"no sentence: {sentence[:300]}"
        except Exception:  # noqa: BLE001 (to find them is the purpose)
            return traceback.format_exc()
    foreign = [str(warning.message) for warning in heard if str(path) not in str(warning.message)]
    if foreign:
        return f"warned: {foreign[0]}"
    seconds = time.perf_counter() - start
    return f"took {seconds:.1f} s" if seconds > SLOWEST_S else None


@pytest.mark.parametrize("reader", NAMES, indirect=True)
def test_a_damaged_file_is_read_or_refused(reader: Reader, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = put(tmp_path / "files", reader, reader.content)
    if reader.name != "manifest.json":  # whose graphs are not there
        assert fault(reader.read, whole) is None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(-(-COUNT // len(NAMES))):
        content = reader.damage(reader.content, random.Random(f"{SEED} {reader.name} {number}"))
        found = fault(reader.read, put(tmp_path / "files", reader, content))
        assert found is None, f"seed {SEED}, number {number} of {reader.name}: {found}"
    assert capfd.readouterr() == ("", "")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    assert grown < MOST_MIB, f"{reader.name} took {grown} MiB"


def test_every_reader_is_tried() -> None:
    assert [reader.name for reader in readers()] == NAMES
