"""Programs in processes of their own, joined as `torchrun` joins them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from samlet.training.loop.checkpoint import LOG

ROOT = Path(__file__).parents[2]


def run_joined(program, processes, *arguments):
    """Run a program's text in several processes and wait until all of them have ended well."""
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
    assert [process.returncode for process in started] == [0] * processes, said


def logged(folder, *names):
    """The values of those names in each row of a run's log."""
    rows = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [tuple(row[name] for name in names) for row in rows]
