from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")  # with the lowest versions of the core, OpenCV rounds otherwise here and there

from tests.web.golden_numbers import FILE, numbers


def agree(kept: Any, made: Any) -> bool:
    """Equal, but for the last digits of float32 numbers, which differ from one processor to the next."""
    if isinstance(kept, dict):
        return kept.keys() == made.keys() and all(agree(kept[name], made[name]) for name in kept)
    if isinstance(kept, list):
        return len(kept) == len(made) and all(map(agree, kept, made))
    if not isinstance(kept, str) or kept == made or len(kept) != len(made) or len(kept) % 4:
        return kept == made
    arrays = [np.frombuffer(base64.b64decode(each), np.float32) for each in (kept, made)]
    return np.allclose(*arrays, rtol=1e-5, atol=1e-5)


def test_the_numbers_of_the_pages_tests_are_the_librarys():
    """If this fails the library has changed: run tests/web/golden_numbers.py, then `npm test` in web/."""
    kept = json.loads(FILE.read_text())
    assert agree(kept, json.loads(json.dumps(numbers())))
    changed = json.loads(FILE.read_text())
    changed["windows"][0]["window"][0] += 1
    assert not agree(kept, changed)
