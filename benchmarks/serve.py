"""The server under load: clients that click, five that hang up in the middle of a body, and kill -9 while it saves.

    python benchmarks/serve.py                    32 clients, 60 seconds, a click every 6 seconds each (Linux)
    python benchmarks/serve.py --pause 0          as fast as answers come: the most that this machine answers

Each client embeds a photo of its own; when all have, the time begins. Each hovers (/api/predict) and clicks
(/api/segment) by turns. The server is `samlet app` in a process of its own, on the loopback. While the same clients go
on, five others send half a body and close. At last clients save annotations as fast as they can, the server is killed
with signal 9 and started again: what it had acknowledged must be there. Prints a table and one JSON line; exits with 1
if anything went wrong.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"
PHOTOS = ("astronaut.jpg", "cat.jpg", "coffee.jpg", "retina.jpg", "rocket.jpg")
JSON = {"Content-Type": "application/json"}
QUIET_SECONDS = 10.0  # before memory is called settled
HANG_UPS, HANG_UP_SECONDS = 5, 10.0
SAVERS, SAVING_SECONDS = 8, 5.0


class Server:
    """`samlet app` for a project in `folder`, as a process; `restarted` is another one for the same project."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        command = [sys.executable, "-c", "import sys; from samlet.cli import main; sys.exit(main())"]
        options = ["app", "--project", str(folder), "--no-browser", "--port", "0"]
        with (folder.parent / "server.log").open("ab") as log:
            self.process = subprocess.Popen([*command, *options], stderr=log)
        self.port = self._wait(folder.parent / "server.log")

    def _wait(self, log: Path) -> int:
        for _ in range(600):
            found = re.findall(r"http://127\.0\.0\.1:(\d+)", log.read_text(errors="replace"))
            if found and is_up(int(found[-1])):
                return int(found[-1])
            time.sleep(0.1)
        raise SystemExit(f"The server did not start: see {log}.")

    def resident_mb(self) -> float:
        """What the process holds in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024

    def kill(self) -> None:
        """Signal 9, which no process hears."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> float:
        """Ask it to stop; how many seconds that took."""
        start = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        return time.perf_counter() - start


def is_up(port: int) -> bool:
    """Whether a server answers there."""
    try:
        return ask(HTTPConnection("127.0.0.1", port, timeout=5), "GET", "/health")["status"] == "UP"
    except OSError:
        return False


def ask(connection: HTTPConnection, method: str, path: str, body: Any = None, headers: dict[str, str] = JSON) -> Any:
    """The JSON that comes back; RuntimeError for any status but 200."""
    connection.request(method, path, body if isinstance(body, bytes | None) else json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{method} {path}: {answer.status} {content[:200].decode(errors='replace')}")
    return json.loads(content)


@dataclass
class Load:
    """What clients did and how long each request took, in seconds."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"embed": [], "hover": [], "click": []})
    errors: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def timed(self, kind: str, request: Callable[[], Any]) -> Any:
        """Do a request and note its time."""
        start = time.perf_counter()
        answer = request()
        self.seconds[kind].append(time.perf_counter() - start)
        return answer


def photo_of(client: int) -> bytes:
    """A photo that no other client has."""
    with Image.open(EXAMPLES / PHOTOS[client % len(PHOTOS)]) as image:
        pixels = np.array(image.convert("RGB"))
    pixels[0, 0] = client
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def annotator(port: int, client: int, pause: float, load: Load) -> None:
    """One client until it is told to stop."""
    chance = np.random.default_rng(client)
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    photo = photo_of(client)
    time.sleep(pause * chance.random())
    try:
        body = {"Content-Type": "image/jpeg"}
        embedded = load.timed("embed", lambda: ask(connection, "POST", "/api/embed", photo, body))
        height, width = embedded["size"]
        while not load.stop.is_set():
            point = [float(chance.uniform(0, width - 1)), float(chance.uniform(0, height - 1))]
            prompt = {"embedding": embedded["embedding"], "points": [point]}
            load.timed("hover", lambda: ask(connection, "POST", "/api/predict", prompt))  # noqa: B023 - run at once
            load.stop.wait(pause / 2)
            load.timed("click", lambda: ask(connection, "POST", "/api/segment", prompt))  # noqa: B023
            load.stop.wait(pause / 2)
    except (OSError, RuntimeError, ValueError) as error:
        load.errors.append(f"client {client}: {error}")


def clicking(server: Server, clients: int, seconds: float, pause: float) -> dict[str, Any]:
    """Clients click; in the end five others hang up. Times, errors, and memory when it settled and at the end."""
    load, memory = Load(), []
    asked = [(server.port, client, pause, load) for client in range(clients)]
    threads = [threading.Thread(target=annotator, args=each) for each in asked]
    for thread in threads:
        thread.start()
    while len(load.seconds["embed"]) + len(load.errors) < clients:
        time.sleep(0.1)
    start = time.perf_counter()
    while (now := time.perf_counter() - start) < seconds:
        if now > QUIET_SECONDS:
            memory.append(server.resident_mb())
        time.sleep(1)
    before = len(load.errors)
    for _ in range(HANG_UPS):
        hang_up(server.port)
    time.sleep(HANG_UP_SECONDS)
    load.stop.set()
    for thread in threads:
        thread.join()
    part = max(1, len(memory) // 4)
    return {
        "clients": clients, "seconds": seconds, "pause_seconds": pause, "errors": load.errors,
        "errors_after_hang_ups": len(load.errors) - before,
        "times_ms": {kind: percentiles(times) for kind, times in load.seconds.items()},
        "memory_mb": {"first_quarter": float(np.mean(memory[:part])), "last_quarter": float(np.mean(memory[-part:]))},
    }  # fmt: skip


def percentiles(times: list[float]) -> dict[str, float]:
    """Of times in seconds: how many, and percentiles in milliseconds."""
    if not times:
        return {"count": 0}
    values = np.percentile(times, [50, 95, 99]) * 1000
    return {
        "count": len(times),
        **{name: round(float(v), 1) for name, v in zip(("p50", "p95", "p99"), values, strict=True)},
    }


def hang_up(port: int) -> None:
    """Send half of a body and close the connection."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        head = (
            "POST /api/embed HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: 1000000\r\n\r\n"
        )
        connection.sendall(head.encode() + bytes(500_000))


def saver(port: int, image: str, saved: dict[str, tuple[int, str]]) -> None:
    """Save annotations of an image again and again; `saved` holds the last that was acknowledged."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    revision = ask(connection, "GET", f"/api/images/{image}/annotations")["revision"]
    number = 0
    try:
        while True:
            number += 1
            name = f"object-{number}"
            layer = {"id": name, "label": "thing", "rle": {"size": [4, 4], "counts": [3, 2, 11]}}
            body = {"revision": revision, "layers": [layer]}
            revision = ask(connection, "PUT", f"/api/images/{image}/annotations", body)["revision"]
            saved[image] = revision, name
    except (OSError, ValueError):
        return  # the server is dead


def killing(server: Server, folder: Path) -> tuple[dict[str, Any], Server]:
    """Kill the server while clients save and click, start it again, and look for what it had acknowledged."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    body = {"Content-Type": "image/png"}
    file = io.BytesIO()
    images = []
    for number in range(SAVERS):
        file = io.BytesIO()
        Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(file, "PNG")
        images.append(ask(connection, "POST", f"/api/images?name={number}.png", file.getvalue(), body)["id"])
    saved: dict[str, tuple[int, str]] = {}
    load = Load()
    clients = [threading.Thread(target=annotator, args=(server.port, client, 0.0, load)) for client in range(4)]
    savers = [threading.Thread(target=saver, args=(server.port, image, saved)) for image in images]
    for thread in (*clients, *savers):
        thread.start()
    time.sleep(SAVING_SECONDS)
    server.kill()
    load.stop.set()
    for thread in (*clients, *savers):
        thread.join()
    start = time.perf_counter()
    again = Server(folder)
    seconds = time.perf_counter() - start
    connection = HTTPConnection("127.0.0.1", again.port, timeout=60)
    lost = []
    for image, (revision, name) in saved.items():
        found = ask(connection, "GET", f"/api/images/{image}/annotations")
        # One more may have been written than was acknowledged, never one fewer.
        if found["revision"] < revision or (found["revision"] == revision and found["layers"][0]["id"] != name):
            lost.append(image)
    saves = sum(int(name.rpartition("-")[2]) for _, name in saved.values())
    return {"saved": saves, "images": len(saved), "lost": lost, "restart_seconds": round(seconds, 1)}, again


def main() -> int:
    """Run all, and say how it went."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pause", type=float, default=6.0, help="seconds from click to click of a client")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "project"
        folder.mkdir()
        server = Server(folder)
        try:
            result = clicking(server, asked.clients, asked.seconds, asked.pause)
            result["killed"], server = killing(server, folder)
            result["stop_seconds"] = round(server.stop(), 2)
        finally:
            server.kill()
    show(result)
    print(json.dumps({"benchmark": "serve", "cpus": os.cpu_count(), **result}))
    return int(bool(result["errors"] or result["killed"]["lost"]))


def show(result: dict[str, Any]) -> None:
    """The table."""
    print("| request | count | p50 ms | p95 ms | p99 ms |\n|---|---|---|---|---|")
    for kind, times in result["times_ms"].items():
        print(f"| {kind} | {times['count']} | {times.get('p50')} | {times.get('p95')} | {times.get('p99')} |")
    memory = result["memory_mb"]
    print(
        f"\nMemory {memory['first_quarter']:.0f} MB in the first quarter, {memory['last_quarter']:.0f} MB in the last."
    )
    print(f"Errors: {len(result['errors'])}, after {HANG_UPS} hung up: {result['errors_after_hang_ups']}.")
    for error in result["errors"][:5]:
        print(f"  {error}")
    killed = result["killed"]
    print(f"Killed while saving: {killed['saved']} saves, {len(killed['lost'])} of {killed['images']} images lost any.")


if __name__ == "__main__":
    sys.exit(main())
