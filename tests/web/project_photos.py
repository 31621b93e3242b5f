"""A folder of small photos, and annotations of them as the page sends them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from samlet.geometry import rle

SIZE_HW = (40, 60)


def photo(path: Path, size_hw: tuple[int, int] = SIZE_HW, shade: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size_hw, 3), shade, np.uint8)).save(path)
    return path


def square(left: int = 5, top: int = 5, side: int = 10, size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    mask = np.zeros(size_hw, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def run_lengths(mask: np.ndarray) -> dict:
    return {"size": list(mask.shape), "counts": rle.to_counts(rle.encode(mask))}


def layer(name: str = "a", label: str = "cat", mask: np.ndarray | None = None, **more) -> dict:
    mask = square() if mask is None else mask
    return {"id": name, "label": label, "visible": True, "locked": False, "rle": run_lengths(mask), **more}
