"""A server as users start it: `samlet serve` in a process of its own, on a free port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from samlet.models.registry import DEFAULT_MODEL, shipped_folder

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "examples" / "coffee.jpg"
COMMAND = [sys.executable, "-c", "import sys; from samlet.cli import main; sys.exit(main())"]


@dataclass(frozen=True)
class Live:
    """A running server; `log` is what it writes on stderr."""

    url: str
    process: subprocess.Popen
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def live_server(folder: Path, *options: str, verb: str = "serve", port: int = 0, **environment: str) -> Iterator[Live]:
    """A server with the model that ships; it is gone after the block."""
    if shipped_folder(DEFAULT_MODEL) is None:
        pytest.skip(f"this checkout ships no {DEFAULT_MODEL} yet (src/samlet/models/shipped)")
    log = folder / "server.log"
    with log.open("wb") as stderr:
        command = [*COMMAND, verb, "--port", str(port), *options]
        process = subprocess.Popen(command, stderr=stderr, env=os.environ | environment)
    try:
        yield Live(_address(log, process), process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _address(log: Path, process: subprocess.Popen) -> str:
    for _ in range(600):
        found = re.search(r"http://[\w.:\[\]]+:\d+", log.read_text())
        if found and '"started"' in log.read_text():
            return found.group()
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise TimeoutError(log.read_text())
