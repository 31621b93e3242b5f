"""Numbers of the official code, and how close is close enough.

`data/parity/README.md` says where they come from. A digest holds an output's shape, mean, std and 64 of its values.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import filler
from torch import Tensor

from samlet.models.registry import MODELS

FOLDER = Path(__file__).parent / "fixtures" / "parity"
# Relative to the output's std. The official code against itself: 3e-6; a forgotten norm eps: 7e-5; erf for tanh: 1e-3.
TOLERANCE = 2e-5
LAST_DIGIT = 1e-6  # samples are stored with six decimals, which noise below that can tip over
ROUNDINGS = 6  # of each weight (`tests/exact.py`): so far may float32 be from exact numbers, on any CPU
EXPORTED_ROUNDINGS = 12  # the weights of fused layers are rounded once more, and a runtime may add up one by one
ONE_VALUE_TOLERANCE = 1e-4  # one value has no std to be compared with


@cache
def numbers(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text())


def names_with(key: str) -> list[str]:
    """The models of the registry of which there are official numbers of that kind."""
    stored = [spec.name for spec in MODELS if (FOLDER / f"{spec.name}.json").is_file()]
    return [name for name in stored if numbers(name).get(key) or key in next(iter(numbers(name).get("images", [])), {})]


def models_with(key: str) -> list[Any]:
    """`names_with` for `parametrize`; models whose fixture says that they are slow are marked."""
    names = names_with(key)
    slow = {name for name in names if numbers(name).get("slow")}
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


def difference(value: Any, digest: dict[str, Any]) -> float:
    """The largest error of samples, mean and std in units of the tolerance: above 1 is wrong, inf another shape.

    A digest may bring a tolerance of its own, for an output that is noisier; the README of the data says why.
    """
    array = np.asarray(value.detach() if isinstance(value, Tensor) else value, np.float32)
    if list(array.shape) != digest["shape"]:
        return float("inf")
    if array.size == 0:
        return 0.0
    got = filler.digest(array)
    sample_error = max(np.abs(np.subtract(got["samples"], digest["samples"])).max() - LAST_DIGIT, 0)
    if array.size == 1:
        return float(sample_error / ONE_VALUE_TOLERANCE)
    moment_errors = (abs(got[moment] - digest[moment]) for moment in ("mean", "std"))
    return float(max(sample_error, *moment_errors) / digest["std"] / digest.get("tolerance", TOLERANCE))


def wrong(outputs: dict[str, tuple[Any, dict[str, Any]]]) -> dict[str, float]:
    """Of outputs name → (value, digest), those out of tolerance and their `difference`."""
    differences = {name: difference(value, digest) for name, (value, digest) in outputs.items()}
    return {name: error for name, error in differences.items() if not error <= 1}
