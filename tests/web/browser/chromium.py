"""The page in a real browser: how Chromium is started, and what a person does there as one call."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SAVED = re.compile(r"^\s*Saved")  # a plain "Saved" is found in "Not saved yet" too: the case of letters does not count
WAIT_MS = 90_000  # on a machine that does other things too
_PLACE = """([x, y]) => {
  const stage = document.querySelector(".stage");
  const bounds = stage.getBoundingClientRect();
  const [left, top] = stage.placeOf(x, y);
  return [left + bounds.left, top + bounds.top];
}"""
# How much of what is drawn over the photo and its layers is not transparent: previews, drafts, points.
_DRAWN = """() => {
  const canvas = document.querySelectorAll(".stage canvas")[2];
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let index = 3; index < data.length; index += 4) count += data[index] > 0;
  return count;
}"""


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; the test is skipped, with the reason, where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed here")
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"there is no browser here ({', '.join(NAMES)}): apt install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield browser
        browser.close()


class Person:
    """Somebody at the page: points, clicks and types; places are pixels of the image."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self._context = browser.new_context(viewport={"width": 1280, "height": 720}, **context)
        self._context.set_default_timeout(WAIT_MS)
        self.errors: list[str] = []
        self.page = self._new_tab()
        self.url = url

    def _new_tab(self) -> Any:
        page = self._context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page

    def cut_off(self, addresses: str) -> None:
        """Requests to these addresses reach nobody, until the tab is closed."""
        self._context.route(addresses, lambda route: route.abort())

    def close_tab(self) -> None:
        """Close the page at once; the next one is of the same browser, and the line is mended."""
        self.page.close(run_before_unload=False)
        self._context.unroute_all()
        self.page = self._new_tab()

    def open(self, name: str = "") -> Person:
        """Load the page, and the image of that name."""
        self.page.goto(self.url)
        self.page.locator(".zoom").wait_for()
        if name:
            self.page.get_by_role("button", name=f"{name},").click()
            self.page.locator(".where strong", has_text=name).wait_for()
            self.page.locator(".opening").wait_for(state="detached")
        self.saved()
        return self

    def close(self) -> None:
        self._context.close()

    def at(self, x: float, y: float) -> list[float]:
        """Where a pixel of the image is on the screen."""
        return self.page.evaluate(_PLACE, [x, y])

    def drawn_px(self) -> int:
        return self.page.evaluate(_DRAWN)

    def point(self, x: float, y: float) -> None:
        self.page.mouse.move(*self.at(x, y))

    def click(self, x: float, y: float, **options: Any) -> None:
        """A click of the point tool, until the mask is there."""
        self.page.mouse.click(*self.at(x, y), **options)
        self.answered()

    def drag(self, *way: tuple[float, float]) -> None:
        self.point(*way[0])
        self.page.mouse.down()
        for place in way[1:]:
            self.page.mouse.move(*self.at(*place), steps=4)
        self.page.mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def answered(self) -> None:
        """Wait until no answer is awaited."""
        self.page.locator(".bar").wait_for()
        self.page.locator(".bar .spinner").wait_for(state="detached")

    def name(self, label: str) -> None:
        """Give the draft a name, which keeps it."""
        self.press("l")
        self.page.keyboard.type(label)
        self.press("Enter")
        self.page.locator(".bar").wait_for(state="detached")

    def saved(self) -> None:
        self.page.locator(".state", has_text=SAVED).wait_for()

    def objects(self) -> list[str]:
        return self.page.locator("[data-layer] .label").all_inner_texts()
