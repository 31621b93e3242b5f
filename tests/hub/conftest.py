"""An empty cache and a site that has the file, for every test of the hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hub.server import CONTENT, FILE, Site, serve

from samlet.hub import download


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SAMLET_CACHE", str(folder))
    monkeypatch.delenv("SAMLET_MIRROR", raising=False)
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    return folder


@pytest.fixture
def site() -> Iterator[Site]:
    with serve(Site(files={f"/{FILE}": CONTENT})) as site:
        yield site
