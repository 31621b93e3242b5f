from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from samlet.runtime.kept_memory import SETTINGS, keep_freed_memory

PROGRAM = """
import resource
import numpy as np
from samlet.runtime.kept_memory import keep_freed_memory

if {keeps}:
    assert keep_freed_memory()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for turn in range(6):
    before = faults()
    arrays = [np.ones(1 << 20, np.float32) for _ in range(8)]
    del arrays
print(faults() - before)
"""
on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")


def faults(keeps):
    """The pages that the system hands out while 32 MB are taken once more that were freed five times."""
    env = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    program = [sys.executable, "-c", PROGRAM.format(keeps=keeps)]
    return int(subprocess.run(program, env=env, check=True, capture_output=True, text=True).stdout)


@on_glibc
def test_memory_that_was_freed_is_not_asked_for_again():
    assert faults(keeps=True) < 100
    assert faults(keeps=False) > 4000


def test_who_has_set_it_is_left_alone(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert not keep_freed_memory()


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
