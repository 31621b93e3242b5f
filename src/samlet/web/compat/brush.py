"""Label Studio's run-length code of a brush: bits, of an RGBA picture whose four channels are the mask.

A head of 32 bits (how many values), 5 (bits of a value, less 1) and four times 4 (bits of a run's length, less 1: four
sizes to choose from); then, for each run: a bit (1: values repeat), 2 bits (which size), the length less 1, the value.
Facts from label-studio-sdk 2.1, which decodes it one bit at a time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_VALUE_BITS = 8
_LENGTH_BITS = (3, 4, 8, 16)
_CHANNELS = 4


def brush_code(mask: NDArray[np.bool_]) -> list[int]:
    """The bytes of a mask [H, W], as numbers."""
    values = mask.ravel()
    head = f"{_CHANNELS * values.size:032b}{_VALUE_BITS - 1:05b}" + "".join(f"{bits - 1:04b}" for bits in _LENGTH_BITS)
    edges = np.flatnonzero(values[1:] != values[:-1]) + 1
    lengths = np.diff(edges, prepend=0, append=values.size) * _CHANNELS
    inside = bool(values[0])
    runs = []
    for length in lengths.tolist():
        runs.append(_run(length, 255 if inside else 0))
        inside = not inside
    bits = head + "".join(runs)
    bits += "0" * (-len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8, "big"))


def _run(length: int, value: int) -> str:
    longest = 1 << _LENGTH_BITS[-1]
    parts = [longest] * (length // longest)
    if length % longest:
        parts.append(length % longest)
    return "".join(_part(part, value) for part in parts)


def _part(length: int, value: int) -> str:
    size = next(index for index, bits in enumerate(_LENGTH_BITS) if length <= 1 << bits)
    return f"1{size:02b}{length - 1:0{_LENGTH_BITS[size]}b}{value:0{_VALUE_BITS}b}"
