"""Makes the pictures of the app in docs/app: `just screenshots`. Needs Chromium and `pip install playwright`.

The photos are those of examples/; the masks are made here, by clicking.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests know how to be at the page

from tests.web.browser.chromium import Person, chromium
from tests.web.live import live_server

PLACE = Path(__file__).parent / "app"
EXAMPLES = Path(__file__).parents[1] / "examples"
_QUALITY = 88


def main() -> None:
    """Make all pictures."""
    PLACE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        photos = Path(folder, "photos")
        photos.mkdir()
        for photo in EXAMPLES.glob("*.jpg"):
            shutil.copy(photo, photos)
        with live_server(Path(folder), str(photos), "--no-browser", verb="app") as server:
            _at_work(browser, server.url)
            _dialogs(browser, server.url)
            _tablet(browser, server.url)
        Path(folder, "none").mkdir()
        with live_server(Path(folder), str(Path(folder, "none")), "--no-browser", verb="app") as server:
            _empty(browser, server.url)


def _at_work(browser: Any, url: str) -> None:
    person = Person(browser, url).open("rocket.jpg")
    person.click(319, 250)
    person.name("rocket")
    person.press("Control+Enter")
    person.open("astronaut.jpg")
    person.press("a")
    person.page.locator("text=found").wait_for()
    person.point(225, 60)
    _take(person, "everything")
    person.press("Escape", "b")
    person.drag((20, 0), (120, 320))
    person.answered()
    person.name("flag")
    person.drag((50, 15), (455, 511))
    person.answered()
    person.name("astronaut")
    person.press("p")
    person.click(410, 170)
    person.name("shuttle")
    person.click(400, 400)
    _take(person, "app")
    person.press("Escape", "v")
    person.saved()
    person.close()


def _dialogs(browser: Any, url: str) -> None:
    person = Person(browser, url, color_scheme="dark").open("coffee.jpg")
    person.press("b")
    person.drag((80, 10), (500, 390))
    person.answered()
    _take(person, "dark")
    person.press("Control+e")
    person.page.get_by_role("dialog").wait_for()
    _take(person, "export")
    person.press("Escape", "?")
    person.page.get_by_role("dialog").wait_for()
    _take(person, "keys")
    person.close()


def _tablet(browser: Any, url: str) -> None:
    person = Person(browser, url, has_touch=True)
    person.page.set_viewport_size({"width": 820, "height": 1180})
    person.open("coffee.jpg")
    _take(person, "tablet")
    person.close()


def _empty(browser: Any, url: str) -> None:
    person = Person(browser, url)
    person.page.goto(url)
    person.page.get_by_role("button", name="Choose photos").wait_for()
    _take(person, "empty")
    person.close()


def _take(person: Person, name: str) -> None:
    person.page.wait_for_timeout(400)  # fonts, fades
    person.page.screenshot(path=PLACE / f"{name}.jpg", type="jpeg", quality=_QUALITY)


if __name__ == "__main__":
    main()
