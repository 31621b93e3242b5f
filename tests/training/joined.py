"""Programs in processes of their own, joined as `torchrun` joins them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from samlet.training.loop.checkpoint import LOG

ROOT = Path(__file__).parents[2]


def run_joined(program, processes, *arguments, tries=1):
    """Run a program's text in several processes and wait until all of them have ended well.

    A program that goes on where it stopped may have more `tries`, for when a thread of gloo's dies of a segmentation
    fault, which no Python can cause (seen in two of some thirty runs of the tests).
    """
    for _ in range(tries):
        codes, said = _run(program, processes, *arguments)
        if -signal.SIGSEGV not in codes:
            break
    assert codes == [0] * processes, said


def _run(program, processes, *arguments):
    """Exit codes and what was said on stderr."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    # The program imports from tests/, which only pytest has on its path.
    common = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "WORLD_SIZE": str(processes)}
    common.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port, OMP_NUM_THREADS="1")
    started = [
        subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", program, *map(str, arguments)],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    said = [process.communicate(timeout=300)[1] for process in started]
    return [process.returncode for process in started], said


def logged(folder, *names):
    """The values of those names in each row of a run's log."""
    rows = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [tuple(row[name] for name in names) for row in rows]
