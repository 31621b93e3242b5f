"""The decoder in the browser: what a visitor downloads, and how long Chromium takes on this machine.

    python benchmarks/browser.py                  needs Chromium and `pip install playwright`
    python benchmarks/browser.py --hovers 200     more of the clicks that p50 and p95 are of
    python benchmarks/browser.py --webgpu card    the graphics card too; `software`: what plays one, minutes a mask

The app is written as `samlet app --static` writes it, and served twice from this process: as any static host does,
where WebAssembly has one thread, and with the two headers that samlet's own server sends, where it may have more. The
worker of the page is asked as the page asks it. Native times are those of `samlet` on the same machine, in the same
run, with as many threads. `--webgpu` adds a run of the graphs by WebGPU and how well its mask agrees with the native
one. Prints tables and one JSON line.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

import samlet
from samlet.geometry import rle as run_lengths
from samlet.images import read_image
from samlet.web.static import PAGE, write_static

PHOTO = Path(__file__).parents[1] / "examples" / "coffee.jpg"
CLICK = [300, 200]
FLAGS = ("no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-sync")
ISOLATING = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
WEBGPU_FLAGS = {
    "card": ["--enable-unsafe-webgpu", "--enable-features=Vulkan"],
    "software": ["--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-webgpu-adapter=swiftshader"],
}
START = """async ([worker, device]) => {
  const hired = new Worker(worker, { type: "module" });
  const waiting = new Map();
  hired.onmessage = ({ data }) => {
    const { resolve, reject } = waiting.get(data.number);
    if ("answer" in data) resolve(data.answer);
    if ("error" in data) reject(new Error(data.error.message));
  };
  let number = 0;
  window.ask = (question) => new Promise((resolve, reject) => {
    waiting.set(++number, { resolve, reject });
    hired.postMessage({ number, question });
  });
  window.timed = async (question) => {
    const start = performance.now();
    const answer = await ask(question);
    return [performance.now() - start, answer];
  };
  const place = (folder) => new URL(folder, document.baseURI).href;
  return timed({ kind: "start", setup: { runtime: place("ort/"), model: place("model/"), device } });
}"""
EMBED = """([key, content]) => {
  const file = new Blob([Uint8Array.from(atob(content), (byte) => byte.charCodeAt(0))]);
  return timed({ kind: "embed", key, file });
}"""
PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
KINDS = {"page": ("html", "css", "js", "svg"), "runtime": ("mjs", "gz"), "model": ("onnx",)}
FOR_CARDS = ("webgpu", "asyncify")  # in the names of the runtime's files that only a graphics card needs


class _Handler(SimpleHTTPRequestHandler):
    headers_sent: Mapping[str, str] = MappingProxyType({})

    def end_headers(self) -> None:
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@contextmanager
def served(folder: Path, headers: dict[str, str]) -> Iterator[str]:
    """The address of a static host."""
    handler = type("Handler", (_Handler,), {"headers_sent": headers})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def weights(folder: Path) -> dict[str, dict[str, float]]:
    """Megabytes of the static folder by what they are for, plain and as a host sends them that compresses."""
    found: dict[str, dict[str, float]] = {kind: {"mb": 0.0, "gzip_mb": 0.0} for kind in (*KINDS, "for cards")}
    for file in folder.rglob("*.*"):
        kind = next((kind for kind, suffixes in KINDS.items() if file.suffix[1:] in suffixes), None)
        if any(part in file.name for part in FOR_CARDS):
            kind = "for cards"
        if kind is not None:
            content = file.read_bytes()
            packed = content if file.suffix == ".gz" else gzip.compress(content)
            found[kind]["mb"] += len(content) / 1e6
            found[kind]["gzip_mb"] += len(packed) / 1e6
    return found


def clicks(count: int) -> list[list[int]]:
    """Places on the photo, the same in every run."""
    height, width = read_image(PHOTO).shape[:2]
    return np.random.default_rng(0).integers((0, 0), (width, height), (count, 2)).tolist()


def in_browser(page: Any, address: str, hovers: int) -> dict[str, Any]:
    """Milliseconds in Chromium."""
    page.goto(address)
    page.wait_for_function(PAINTED)
    opened, running = page.evaluate(START, [f"assets/{worker()}", "wasm"])
    content = base64.b64encode(PHOTO.read_bytes()).decode()
    encodes = [page.evaluate(EMBED, [f"photo {number}", content])[0] for number in range(6)][1:]
    asked = {"key": "photo 5", "multimask": False}

    def ask(kind: str, point: list[int]) -> float:
        return page.evaluate("timed", asked | {"kind": kind, "prompts": {"points": [point], "labels": [1]}})[0]

    first = ask("predict", CLICK)
    return {
        "threads": running["threads"],
        "first_paint": page.evaluate(PAINTED),
        "open": opened,
        "first_hover": first,
        "encode": spread(encodes),
        "hover": spread([ask("predict", point) for point in clicks(hovers)]),
        "segment": spread([ask("segment", point) for point in clicks(8)]),
    }


def worker() -> str:
    """The name of the page's worker."""
    return next(file.name for file in (PAGE / "assets").glob("worker-*.js"))


def by_webgpu(playwright: Any, path: str, folder: Path, kind: str) -> dict[str, Any]:
    """One photo and one click by WebGPU, each twice, in milliseconds, and the IoU of the mask with the native one."""
    flags = [f"--{flag}" for flag in FLAGS if flag != "disable-gpu"]
    browser = playwright.chromium.launch(executable_path=path, args=[*flags, *WEBGPU_FLAGS[kind]])
    with served(folder, ISOLATING) as address:
        page = browser.new_page()
        page.set_default_timeout(600_000)
        page.goto(f"{address}?webgpu=0")  # the page's own model stays out of the way
        opened, running = page.evaluate(START, [f"assets/{worker()}", "webgpu"])
        content = base64.b64encode(PHOTO.read_bytes()).decode()
        encodes = [page.evaluate(EMBED, [f"photo {number}", content])[0] for number in range(2)]
        asked = {"kind": "predict", "key": "photo 1", "multimask": False}
        asked["prompts"] = {"points": [CLICK], "labels": [1]}
        hovers = [page.evaluate("timed", asked) for _ in range(2)]
    browser.close()
    model = samlet.load(backend="onnx")
    mask = model.predict(model.embed(read_image(PHOTO)), samlet.Prompts.points([CLICK]))[0]
    answer = run_lengths.from_json(hovers[-1][1][0]["rle"])
    return {
        "device": running["device"],
        "open": opened,
        "encode": encodes,
        "hover": [milliseconds for milliseconds, _ in hovers],
        "iou_with_native": float(run_lengths.iou_matrix([answer], [mask.rle])[0, 0]),
    }


def native(threads: int, hovers: int) -> dict[str, Any]:
    """Milliseconds of the library."""
    model = samlet.load(backend="onnx", threads=threads)
    photo = read_image(PHOTO)
    embedding = model.embed(photo)

    def ask(point: list[int]) -> Any:
        return model.predict(embedding, samlet.Prompts.points([point]))

    def final(point: list[int]) -> Any:
        return model.segment(photo, points=[point], embedding=embedding)

    ask(CLICK)
    final(CLICK)
    return {
        "threads": threads,
        "encode": spread([timed(model.embed, photo) for _ in range(5)]),
        "hover": spread([timed(ask, point) for point in clicks(hovers)]),
        "segment": spread([timed(final, point) for point in clicks(8)]),
    }


def timed(work: Callable[[Any], Any], value: Any) -> float:
    """Milliseconds that `work` takes."""
    start = time.perf_counter()
    work(value)
    return (time.perf_counter() - start) * 1000


def spread(times: list[float]) -> dict[str, float]:
    """The middle, and what one in twenty exceeds."""
    return {"p50": float(np.percentile(times, 50)), "p95": float(np.percentile(times, 95))}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hovers", type=int, default=60, help="clicks that hover times are of")
    parser.add_argument("--webgpu", choices=WEBGPU_FLAGS, help="run the graphs by WebGPU too")
    options = parser.parse_args()
    hovers = options.hovers
    path = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
    if path is None:
        raise SystemExit("There is no Chromium here: install the package chromium.")
    runs: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place) / "app"
        write_static(folder)
        browser = playwright.chromium.launch(executable_path=path, args=[f"--{flag}" for flag in FLAGS])
        for name, headers in (("browser", {}), ("browser, isolated", ISOLATING)):
            with served(folder, headers) as address:
                runs[name] = in_browser(browser.new_page(), address, hovers)
            threads = runs[name]["threads"]
            runs.setdefault(f"native, threads={threads}", native(threads, hovers))
        browser.close()
        sizes = weights(folder)
        card = by_webgpu(playwright, path, folder, options.webgpu) if options.webgpu else None
    print("| what is loaded | MB | MB, compressed |\n|---|---|---|")
    for kind, size in sizes.items():
        print(f"| {kind} | {size['mb']:.2f} | {size['gzip_mb']:.2f} |")
    print("\n| ms, p50 (p95) | threads | encode | hover | click to final mask | open | first paint |")
    print("|---|---|---|---|---|---|---|")
    for name, run in runs.items():
        cells = [f"{run[kind]['p50']:.0f} ({run[kind]['p95']:.0f})" for kind in ("encode", "hover", "segment")]
        cells += [f"{run[kind]:.0f}" if kind in run else "" for kind in ("open", "first_paint")]
        print(f"| {name} | {run['threads']} | {' | '.join(cells)} |")
    if card:
        print(f"\nWebGPU ({options.webgpu}; {card['device']} ran): first and second encoding ", end="")
        print(f"{card['encode'][0]:.0f} and {card['encode'][1]:.0f} ms, click {card['hover'][0]:.0f} and ", end="")
        print(f"{card['hover'][1]:.0f} ms, IoU with the native mask {card['iou_with_native']:.5f}.")
    print(json.dumps({"benchmark": "browser", "megabytes": sizes, "ms": runs, "webgpu": card}))


if __name__ == "__main__":
    main()
