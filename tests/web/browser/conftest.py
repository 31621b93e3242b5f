from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.web.browser.chromium import Person, chromium

EXAMPLES = Path(__file__).parents[3] / "examples"
PHOTOS = ("astronaut.jpg", "cat.jpg", "coffee.jpg")


class App:
    """`samlet app` in a process of its own, which can be killed and started again on its port."""

    def __init__(self, folder: Path) -> None:
        self.photos = folder / "photos"
        self.photos.mkdir()
        for name in PHOTOS:
            shutil.copy(EXAMPLES / name, self.photos)
        self._folder, self._port = folder, 0
        self._running: Any = None
        self._server: Any = None

    def start(self) -> None:
        from tests.web.live import live_server

        self._running = live_server(self._folder, str(self.photos), "--no-browser", verb="app", port=self._port)
        self._server = self._running.__enter__()
        self._port = self._server.port

    def kill(self) -> None:
        """As the system does when memory is short: without a word."""
        self._server.process.kill()
        self._server.process.wait()
        self.stop()

    def stop(self) -> None:
        self._running.__exit__(None, None, None)

    @property
    def url(self) -> str:
        return self._server.url

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}") as answer:
            return json.load(answer)

    def layers(self, name: str) -> list[dict[str, Any]]:
        """What is saved of an image."""
        (image,) = (image for image in self.get("/api/project")["images"] if image["name"] == name)
        return self.get(f"/api/images/{image['id']}/annotations")["layers"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def app(browser, tmp_path_factory) -> Iterator[App]:
    pytest.importorskip("fastapi")
    running = App(tmp_path_factory.mktemp("app"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def person(browser, app) -> Iterator[Person]:
    somebody = Person(browser, app.url)
    yield somebody
    somebody.close()
    assert somebody.errors == []
