from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests.cli.disc import predictor

from samlet.cli import main


@pytest.fixture(autouse=True)
def _no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMLET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SAMLET_MIRROR", raising=False)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty current folder."""
    folder = tmp_path / "workplace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def photo(workplace):
    """A 256 x 192 photo outside of the current folder."""
    path = workplace.parent / "photo.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (192, 256, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


@pytest.fixture
def loads(monkeypatch):
    """`samlet.loading.load` gives the disc backend; the fixture is the list of its calls."""
    calls = []

    def load(name=None, **options):
        calls.append((name, options))
        return predictor()

    monkeypatch.setattr("samlet.loading.load", load)
    return calls


@pytest.fixture
def samlet(capsys):
    """Run a command line; return (exit code, stdout, stderr)."""

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def refused(samlet):
    """Run a command line that must end in exit code 2, nothing on stdout and one sentence, which is returned."""

    def run(*words):
        code, out, err = samlet(*words)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err.removeprefix("error: ").rstrip("\n")

    return run
