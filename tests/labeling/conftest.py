"""A store that fails as told, empty for each test."""

from __future__ import annotations

import pytest

from samlet.labeling.sources import retrying


@pytest.fixture
def flaky(monkeypatch):
    """The file system behind `flaky://`; nobody waits for it."""
    fsspec = pytest.importorskip("fsspec")
    from tests.labeling.flaky_store import FlakyStore

    fsspec.register_implementation("flaky", FlakyStore, clobber=True)
    monkeypatch.setattr(retrying, "_sleep", lambda _: None)
    for kept in (FlakyStore.store, FlakyStore.failures, FlakyStore.asked):
        kept.clear()
    FlakyStore.pseudo_dirs[:] = [""]
    return FlakyStore()
