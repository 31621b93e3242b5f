"""One Core a process, so that no thread is left with a signal stack that is gone."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from samlet.runtime.openvino_core import openvino_core

pytest.importorskip("openvino")

LET_GO_ON_ANOTHER_THREAD = """
import gc, signal, threading
import numpy as np
from samlet.runtime.openvino_core import openvino_core
import openvino
import openvino.opset13 as ops

signal.signal(signal.SIGINT, lambda *_: print("heard", flush=True))
pixels = ops.parameter([4, 4], np.float32)
held = [openvino_core().compile_model(openvino.Model([ops.relu(pixels)], [pixels]), "CPU")]
thread = threading.Thread(target=lambda: (held.clear(), gc.collect()))
thread.start()
thread.join()
signal.raise_signal(signal.SIGINT)
"""


def test_many_threads_get_one_core():
    with ThreadPoolExecutor(8) as threads:
        cores = list(threads.map(lambda _: openvino_core(), range(32)))
    assert len(set(map(id, cores))) == 1


def test_a_signal_is_heard_after_a_model_was_let_go_on_another_thread():
    result = subprocess.run(
        [sys.executable, "-c", LET_GO_ON_ANOTHER_THREAD], capture_output=True, text=True, check=False, timeout=120
    )
    assert (result.returncode, result.stdout) == (0, "heard\n"), result
