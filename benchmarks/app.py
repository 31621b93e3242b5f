"""The page in Chromium: what it weighs, when it is first painted, how long a preview and a click take.

    python benchmarks/app.py            needs Chromium and playwright; on a machine that does nothing else

A preview counts from the move of the pointer until its mask is on the canvas, a click until the final mask is. Every
place is new to the server, photos are those of examples/. Prints a table and one JSON line.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests know how to be at the page

from tests.web.browser.chromium import Person, chromium
from tests.web.live import live_server

EXAMPLES = Path(__file__).parents[1] / "examples"
PHOTOS = ("coffee.jpg", "astronaut.jpg", "cat.jpg", "rocket.jpg")
WARM_UPS = 3
# Sends the pointer to a place on the screen and waits until something is drawn there.
_HOVER = """async ([x, y]) => {
  const stage = document.querySelector(".stage");
  const canvas = stage.querySelectorAll("canvas")[2];
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const bounds = stage.getBoundingClientRect();
  const near = () => pen.getImageData(x - bounds.left - 12, y - bounds.top - 12, 25, 25).data;
  const drawn = () => near().some((value, index) => index % 4 === 3 && value > 0);
  const frame = () => new Promise(requestAnimationFrame);
  stage.dispatchEvent(new PointerEvent("pointerleave", {}));
  await frame();
  while (drawn()) await frame();
  const start = performance.now();
  stage.dispatchEvent(new PointerEvent("pointermove", { clientX: x, clientY: y, bubbles: true, pointerId: 1 }));
  while (!drawn() && performance.now() - start < 5000) await frame();
  return performance.now() - start;
}"""
_CLICK = """async ([x, y]) => {
  const stage = document.querySelector(".stage");
  stage.setPointerCapture = () => undefined;
  const at = { clientX: x, clientY: y, bubbles: true, pointerId: 1, button: 0 };
  const frame = () => new Promise(requestAnimationFrame);
  const start = performance.now();
  stage.dispatchEvent(new PointerEvent("pointerdown", at));
  stage.dispatchEvent(new PointerEvent("pointerup", at));
  do await frame(); while (!document.querySelector(".bar") || document.querySelector(".bar .spinner"));
  await frame();
  return performance.now() - start;
}"""
_FIRST = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
_LOADED = "() => performance.getEntriesByType('resource').map(({ name }) => name)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--previews", type=int, default=25, help="of each photo")
    parser.add_argument("--clicks", type=int, default=8, help="on each photo")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        photos = Path(folder, "photos")
        photos.mkdir()
        for name in PHOTOS:
            shutil.copy(EXAMPLES / name, photos)
        with live_server(Path(folder), str(photos), "--no-browser", verb="app") as server:
            report = _measured(Person(browser, server.url), options.previews, options.clicks)
    report |= {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
    for name, value in report.items():
        print(f"{name:28}{value:>10.1f}" if isinstance(value, float) else f"{name:28}{value:>10}")
    print(json.dumps(report))


def _measured(person: Person, previews: int, clicks: int) -> dict[str, Any]:
    person.open(PHOTOS[0])
    painted = person.page.evaluate(_FIRST)
    random = np.random.default_rng(0)
    hovered, clicked = [], []
    for name in PHOTOS:
        person.open(name)
        person.page.wait_for_timeout(1500)  # the next photo is encoded meanwhile
        places = [_place(person, random) for _ in range(previews + WARM_UPS)]
        hovered += [person.page.evaluate(_HOVER, place) for place in places][WARM_UPS:]
        for number in range(clicks + 1):
            took = person.page.evaluate(_CLICK, _place(person, random))
            clicked += [took] if number else []
            person.press("Escape")
    return {
        "page_gzip_kb": _weight(person) / 1e3,
        "first_contentful_paint_ms": painted,
        **_spread("preview", hovered),
        **_spread("click", clicked),
    }


def _place(person: Person, random: np.random.Generator) -> list[int]:
    """A place on the screen, inside of the photo."""
    width, height = person.page.evaluate(
        "() => { const canvas = document.querySelector('.stage canvas'); return [canvas.width, canvas.height]; }"
    )
    bounds = person.page.locator(".stage").bounding_box()
    assert bounds is not None
    share_x, share_y = random.uniform(0.3, 0.7), random.uniform(0.25, 0.8)
    return [round(bounds["x"] + share_x * width), round(bounds["y"] + share_y * height)]


def _weight(person: Person) -> int:
    """Bytes of what is loaded before anything can be done, compressed as web hosts do."""
    addresses = [name for name in person.page.evaluate(_LOADED) if name.endswith((".js", ".css"))]
    bodies = [person.page.request.get(address).body() for address in [person.url, *dict.fromkeys(addresses)]]
    return sum(len(gzip.compress(body)) for body in bodies)


def _spread(name: str, times_ms: list[float]) -> dict[str, float]:
    return {f"{name}_p{share}_ms": float(np.percentile(times_ms, share)) for share in (50, 95)}


if __name__ == "__main__":
    main()
