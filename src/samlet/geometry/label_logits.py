"""Class logits on a coarse grid to the class of each pixel, a band of rows at a time: memory goes with the band."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from samlet.opencv import cv2

BAND_VALUES = 1 << 23  # of upscaled logits held at once: 32 MB


def labels_of(logits: NDArray[np.float32], size_hw: tuple[int, int]) -> NDArray[np.uint16]:
    """The class of each pixel: logits [K, h, w] upscaled to `size_hw`, bicubic as torch's, and the largest: [H, W].

    Where classes are equal it is the first.
    """
    classes, rows, columns = logits.shape
    height, width = size_hw
    if (rows, columns) == size_hw:
        return logits.argmax(0).astype(np.uint16)
    flat = np.ascontiguousarray(logits.transpose(1, 0, 2)).reshape(rows, classes * columns)
    weights = bicubic_weights(rows, height)
    labels = np.empty(size_hw, np.uint16)
    band = max(1, BAND_VALUES // (classes * width))
    for top in range(0, height, band):
        part = weights[top : top + band]
        needed = slice(*(np.flatnonzero(part.any(0))[[0, -1]] + (0, 1)))  # a band needs few rows of a fine grid
        # cv2.resize keeps rows that stay as many as they are: only columns are interpolated
        tall = (part[:, needed] @ flat[needed]).reshape(-1, columns)
        wide = cv2.resize(tall, (width, len(tall)), interpolation=cv2.INTER_CUBIC)
        labels[top : top + band] = wide.reshape(len(part), classes, width).argmax(1)
    return labels


@lru_cache(maxsize=16)
def bicubic_weights(side: int, to: int) -> NDArray[np.float32]:
    """The matrix [to, side] of torch's bicubic resize (a = -0.75, pixel centers aligned, edges repeated)."""
    places = (np.arange(to) + 0.5) * side / to - 0.5
    offset = np.arange(-1, 3)
    neighbors = np.floor(places)[:, None] + offset
    distance = np.abs(places[:, None] - neighbors)
    near = (1.25 * distance - 2.25) * distance**2 + 1
    far = ((-0.75 * distance + 3.75) * distance - 6) * distance + 3
    weights = np.zeros((to, side))
    columns = neighbors.clip(0, side - 1).astype(int)
    np.add.at(weights, (np.arange(to)[:, None], columns), np.where(distance <= 1, near, far))
    return weights.astype(np.float32)
