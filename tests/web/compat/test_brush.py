from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("fastapi")

from samlet.web.compat.brush import brush_code


def decoded(code: list[int], size_hw: tuple[int, int]) -> np.ndarray:
    """The picture [H, W, 4] of a code, read as Label Studio's own decoder does."""
    bits = "".join(f"{byte:08b}" for byte in code)
    place = 0

    def read(size: int) -> int:
        nonlocal place
        place += size
        return int(bits[place - size : place], 2)

    count, value_bits = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < count:
        repeats, length = read(1), read(sizes[read(2)]) + 1
        values += [read(value_bits)] * length if repeats else [read(value_bits) for _ in range(length)]
    return np.array(values).reshape(*size_hw, 4)


@pytest.mark.parametrize("size_hw", [(1, 1), (3, 5), (200, 170)])
@pytest.mark.parametrize("kind", ["empty", "full", "random", "square"])
def test_a_mask_comes_back(size_hw, kind):
    mask = np.full(size_hw, kind == "full")
    if kind == "random":
        mask = np.random.default_rng(0).random(size_hw) < 0.5
    if kind == "square":
        mask[size_hw[0] // 3 :, : size_hw[1] // 2 + 1] = True
    picture = decoded(brush_code(mask), size_hw)
    assert (picture == np.where(mask, 255, 0)[..., None]).all()
