"""Freed memory stays with the process: torch has no arena on a CPU, and takes megabytes anew in every step.

Each page that the system hands out again costs a fault: a fifth of a click's time (docs/performance.md).
"""

from __future__ import annotations

import ctypes
import os
import platform

KEPT_BYTES = 256 << 20
LARGEST_BYTES = 32 << 20  # the most that glibc lets its heap serve; larger arrays are the system's
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
# Who sets one of these has decided already.
SETTINGS = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_")


def keep_freed_memory() -> bool:
    """Let glibc keep up to `KEPT_BYTES` that were freed; whether it does. Elsewhere nothing happens.

    This is for the whole process, as memory is.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in SETTINGS):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_TRIM_THRESHOLD, KEPT_BYTES) and mallopt(M_MMAP_THRESHOLD, LARGEST_BYTES))
