"""What this machine is and what it can run: plain facts, gathered for `samlet doctor`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from samlet.runtime.openvino_core import openvino_core
from samlet.runtime.telemetry import import_without_telemetry

PACKAGES = ("numpy", "pillow", "opencv-python-headless", "onnxruntime", "openvino", "torch")
TENSORRT = "TensorrtExecutionProvider"
PRECISIONS = ("FP32", "BF16", "FP16", "INT8")  # OpenVINO lists more than arithmetic


@dataclass(frozen=True)
class BackendState:
    """Whether a backend runs here; `detail` says on what, or why not, and `remedy` is the command that helps."""

    name: str
    runs: bool
    detail: str
    remedy: str | None = None


def package_versions() -> dict[str, str | None]:
    """Return the installed version of each package that matters, None where it is not installed."""
    return {name: _version(name) for name in PACKAGES}


def memory_bytes() -> tuple[int | None, int | None]:
    """Return the memory of the machine and what of it is free, in bytes; None where the system does not tell."""
    return _pages("SC_PHYS_PAGES"), _pages("SC_AVPHYS_PAGES")


def backend_states() -> list[BackendState]:
    """Try every backend and say what it would run on."""
    return [
        _probe("onnx", "onnxruntime", "pip install onnxruntime", _onnx_devices),
        _probe("openvino", "openvino", 'pip install "samlet[openvino]"', _openvino_devices),
        _tensorrt_state(),
        _probe("torch", "torch", 'pip install "samlet[torch]"', _torch_devices),
    ]


def _probe(name: str, module: str, remedy: str, devices: Callable[[], str]) -> BackendState:
    try:
        return BackendState(name, True, devices())
    except ModuleNotFoundError as error:
        if error.name != module:
            return BackendState(name, False, f"{module} is broken: {error}", remedy)
        return BackendState(name, False, f"{module} is not installed", remedy)
    except Exception as error:  # noqa: BLE001 - a broken install fails in its own way, and that is the answer
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return BackendState(name, False, f"{module} is installed but fails: {reason}", remedy)


def _tensorrt_state() -> BackendState:
    """Whether ONNX Runtime was built with TensorRT; that its libraries are there shows when a model is run."""
    state = _probe("tensorrt", "onnxruntime", "pip install onnxruntime-gpu", _onnx_devices)
    if not state.runs or TENSORRT in state.detail:
        return replace(state, detail=TENSORRT) if state.runs else state
    reason = f"the installed onnxruntime has no {TENSORRT}"
    return BackendState("tensorrt", False, reason, "pip install onnxruntime-gpu in its place, and install TensorRT")


def _onnx_devices() -> str:
    return ", ".join(import_without_telemetry("onnxruntime").get_available_providers())


def _openvino_devices() -> str:
    """The CPU and what it computes in: the backend runs nothing else, whatever OpenVINO finds."""
    core = openvino_core()
    name = core.get_property("CPU", "FULL_DEVICE_NAME").strip()
    precisions = [word for word in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") if word in PRECISIONS]
    return f"CPU ({name}; {', '.join(precisions)})"


def _torch_devices() -> str:
    torch = import_module("torch")
    devices = [f"cuda:{index} ({torch.cuda.get_device_name(index)})" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return ", ".join([*devices, f"cpu ({torch.get_num_threads()} threads)"])


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _pages(name: str) -> int | None:
    try:
        return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf; other systems lack some names.
        return None
