"""Libraries that report on their users, imported so that they do not. No other module may import them by itself.

ONNX Runtime writes a device id and looks for its server as soon as it is imported, and calling its own
`disable_telemetry_events` comes too late; OpenVINO and NNCF report through a package that both can do without; Ray asks
its environment.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

LIBRARIES = ("onnxruntime", "openvino", "nncf", "ray")
SENDER = "openvino_telemetry"


def import_without_telemetry(name: str) -> Any:
    """Import one of `LIBRARIES`, or a module of one, with the telemetry of all of them off in this process.

    ImportError as `import` has it.

    Where the program around samlet has imported ONNX Runtime before, its telemetry is as that program left it.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    sys.modules[SENDER] = None  # type: ignore[assignment]  # `import` then says that it is not installed
    return import_module(name)
