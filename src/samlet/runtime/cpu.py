"""What this machine's processor is and has: what runtimes choose their kernels by."""

from __future__ import annotations

import platform
from pathlib import Path

from samlet.opencv import cv2

AVX512, VNNI = 256, 261  # CPU_AVX512_SKX and CPU_AVX512_CLX in OpenCV's enum, which its Python module does not name


def cpu_name() -> str:
    """The processor's name as its maker gives it, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        with cpuinfo.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cpu_features() -> tuple[str, ...]:
    """Of AVX-512 and VNNI (products of 8-bit integers) those that this processor has."""
    found = {"AVX-512": AVX512, "VNNI": VNNI}
    return tuple(name for name, number in found.items() if cv2.checkHardwareSupport(number))
