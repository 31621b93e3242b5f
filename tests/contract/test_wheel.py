"""What `pip install .` would install: the code, the marker for type checkers, the models that ship, nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "src" / "samlet" / "models" / "shipped"
LARGEST_SHIPPED_BYTES = 29_000_000  # of each model


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_the_package(names: set[str]) -> None:
    sources = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src" / "samlet").rglob("*.py")}
    assert sources <= names
    assert "samlet/py.typed" in names
    assert {name.partition("/")[0] for name in names} == {"samlet", "samlet-0.1.0.dist-info"}


def test_wheel_holds_the_licenses(names: set[str]) -> None:
    licenses = {name.rpartition("/")[2] for name in names if "/licenses/" in name}
    assert licenses == {"LICENSE", "NOTICE"}


def test_no_shipped_graph_says_where_it_was_made() -> None:
    """The exporter notes a trace of calls at each node, with the paths of files."""
    graphs = list(SHIPPED.rglob("*.onnx"))
    assert graphs
    assert [path.name for path in graphs if b'File "/' in path.read_bytes()] == []


def test_wheel_holds_the_shipped_models(names: set[str]) -> None:
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    if not files:
        pytest.skip("no model is in src/samlet/models/shipped yet")
    assert {path.relative_to(ROOT / "src").as_posix() for path in files} <= names
    models = [folder for folder in SHIPPED.iterdir() if folder.is_dir()]
    for model in models:
        assert sum(path.stat().st_size for path in model.rglob("*")) <= LARGEST_SHIPPED_BYTES, model.name
