"""Damage to files, drawn from a seed: bits, cuts and splices of bytes; values of JSON; headers of tars."""

from __future__ import annotations

import copy
import json
import random
import tarfile
from collections.abc import Callable
from typing import Any

Mutation = Callable[[bytes, random.Random], bytes]

_DEPTHS = (200, 3000)  # of lists in lists; the second is more than Python's parsers take
_DEEP = "deep"


VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 0.5, -0.5, 1e308, -1e308, float("nan"), float("inf"), "", "x",
    "../../x", "\ud800", "9" * 5000, [], [[]], [None], [[1, 2], [3]], {}, {"size": [6, 8], "counts": "0"},
    {"size": [2**40, 2**40], "counts": [2**80]}, [0, 0, 1e6, 1e6] * 50, [[0, 0, 1e6, 1e6] * 50], [1e30] * 8,
)  # fmt: skip


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    """The content with one to four kinds of damage; the head, where formats say their sizes, is hit most."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        rng.choice((_flip, _overwrite, _cut, _splice, _remove, _insert))(data, rng)
    return bytes(data)


def damaged_json(content: bytes, rng: random.Random) -> bytes:
    """The decoded content with one to three values swapped, dropped or doubled; one time in five bytes instead."""
    if rng.random() < 0.2:
        return damaged_bytes(content, rng)
    lines = content.splitlines() if content.count(b"\n") > 1 else [content]
    index = rng.randrange(len(lines))
    root = [json.loads(lines[index])]
    for _ in range(rng.randint(1, 3)):
        holder, key = rng.choice(list(_places(root)))
        _swap(holder, key, rng)
    depth = rng.choice(_DEPTHS)
    text = json.dumps(root[0]).replace(f'"{_DEEP}"', "[" * depth + "]" * depth)
    lines[index] = text.encode("utf-8", "surrogatepass")
    return b"\n".join(lines) + b"\n"


def damaged_tar(content: bytes, rng: random.Random) -> bytes:
    """A tar with a field of a header overwritten, half of the time with a checksum that fits, or bytes damaged."""
    if rng.random() < 0.4:
        return damaged_bytes(content, rng)
    data = bytearray(content)
    headers = [at for at in range(0, len(data), tarfile.BLOCKSIZE) if data[at + 257 : at + 262] == b"ustar"]
    at = rng.choice(headers)
    start, length = rng.choice(((0, 100), (100, 8), (124, 12), (136, 12), (148, 8), (156, 1), (157, 100), (345, 155)))
    field = rng.choice((rng.randbytes(length), b"\xff" * length, b"\x80" + b"\0" * (length - 1), b"7" * length, b"S"))
    data[at + start : at + start + len(field)] = field
    if rng.random() < 0.5:
        block = bytes(data[at : at + 148]) + b" " * 8 + bytes(data[at + 156 : at + 512])
        data[at + 148 : at + 156] = b"%06o\0 " % sum(block)
    return bytes(data)


def _place(data: bytearray, rng: random.Random) -> int:
    size = max(len(data), 1)
    return rng.randrange(min(64, size)) if rng.random() < 0.4 else rng.randrange(size)


def _flip(data: bytearray, rng: random.Random) -> None:
    if data:
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: random.Random) -> None:
    at, length = _place(data, rng), rng.choice((1, 2, 4, 8))
    patch = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length if rng.random() < 0.7 else rng.randbytes(length)
    data[at : at + length] = patch


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[_place(data, rng) :]


def _splice(data: bytearray, rng: random.Random) -> None:
    start, length, at = _place(data, rng), rng.randint(1, 64), _place(data, rng)
    data[at : at + rng.choice((0, length))] = data[start : start + length]


def _remove(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.randint(1, 32)]


def _insert(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    data[at:at] = rng.choice((b"\0" * rng.randint(1, 600), rng.randbytes(rng.randint(1, 16))))


def _places(node: Any) -> Any:
    """Every (holder, key) inside a decoded JSON value."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(entries):
        yield node, key
        yield from _places(value)


def _swap(holder: Any, key: Any, rng: random.Random) -> None:
    draw = rng.random()
    if draw < 0.15:
        holder.pop(key)
        if not holder and isinstance(holder, list):
            holder.append(None)
    elif draw < 0.25 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif draw < 0.3:
        holder[key] = _DEEP if rng.random() < 0.3 else [holder[key]]
    else:
        holder[key] = copy.deepcopy(rng.choice(VALUES)) if rng.random() < 0.97 else rng.random() * 1e4
