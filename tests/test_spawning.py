from __future__ import annotations

import os
import subprocess
import sys

import pytest

from samlet.spawning import thread_variables, threads_each


def test_threads_are_left_alone_unless_chosen():
    assert thread_variables(None) == {}
    assert set(thread_variables(2).values()) == {"2"}


@pytest.mark.parametrize("before", [None, "7"])
def test_the_block_alone_has_its_threads(monkeypatch, before):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if before is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", before)
    with threads_each(3):
        assert os.environ["OMP_NUM_THREADS"] == "3"
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_libraries_heed_it():
    program = "import cv2; print(cv2.getNumThreads())"
    with threads_each(1):
        assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout.split() == [b"1"]
