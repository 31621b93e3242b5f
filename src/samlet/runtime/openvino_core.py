"""OpenVINO's `Core`: one in a process, kept for as long as the process lives."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING

from samlet.runtime.telemetry import import_without_telemetry

if TYPE_CHECKING:
    import openvino

_lock = threading.Lock()


def openvino_core() -> openvino.Core:
    """Return the one `Core` of this process, which is never let go of; ImportError without OpenVINO.

    OpenVINO's CPU plugin gives the thread that makes it a signal stack of its own. Let go of on another thread, it
    unmaps that stack while the first thread still uses it, whose next signal (Ctrl-C, a child that ends) is then a
    segmentation fault.
    """
    with _lock:  # or two threads might each make one, and one of the two be let go of
        return _core()


@cache
def _core() -> openvino.Core:
    return import_without_telemetry("openvino").Core()
