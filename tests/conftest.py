"""Settings of all tests."""

from __future__ import annotations

import os
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores: one thread each. Read when numpy and torch are first imported, hence before them.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

# Tests that import ONNX Runtime themselves report to nobody either.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

# A busy machine is no defect: timings are not assertions.
settings.register_profile("samlet", deadline=None)
settings.load_profile("samlet")


# What a test module imports that needs torch or another extra: those modules are left out where there is no torch.
NEEDS_AN_EXTRA = re.compile(
    r"import torch|from torch|importorskip|from samlet\.(?:nn|training|export)|from samlet\.models import"
    r"|from samlet\.models\.(?!registry|own|\w+\.spec)|from samlet\.runtime\.torch|from samlet\.benchmarking\.reference"
    r"|from tests(?: import |\.)(?:tiny|filler|parity|small_rpn|training|runtime)"
)
SHARED = ("tiny_artifact", "with_decoders_at_hand")
WITHOUT_TORCH = find_spec("torch") is None


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """The core's own tests run without torch; the others are left out there, whole modules at a time."""
    if not WITHOUT_TORCH or collection_path.suffix != ".py" or not collection_path.name.startswith("test_"):
        return None
    return True if NEEDS_AN_EXTRA.search(collection_path.read_text(encoding="utf-8")) else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Files go to workers whole, as with `--dist loadfile`; all that use the tiny model's artifact go to one, and so do
    all that use its decoders.

    They take half a minute to translate: once, so, not once a worker.
    """
    from xdist.scheduler import LoadFileScheduling

    @cache
    def unit(file: str) -> str:
        text = (config.rootpath / file).read_text(encoding="utf-8")
        return next((name for name in SHARED if name in text), file)

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit(super()._split_scope(nodeid))

    return Scheduling(config, log)
