"""Deterministic weights and inputs, so that two implementations of one network are compared without sharing weights.

Every tensor is drawn from its *name* by NumPy's frozen legacy generator: a network with the same parameter names gets
the same weights on every machine. `digest` is what the files in tests/fixtures store of an official output.
"""

from __future__ import annotations

import zlib

import numpy as np

SAMPLES = 64
SCALE_NAMES = ("weight", "gamma", "scale", "weight_g")


def generator(name):
    return np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF)


def tensor(name, shape):
    """Weights of the parameter or buffer `name`, scaled so that deep networks stay finite."""
    kind = name.rpartition(".")[2]
    draw = generator(name)
    if kind == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if kind == "running_var" or (len(shape) < 2 and kind in SCALE_NAMES):
        values = draw.uniform(0.5, 1.5, shape)
    elif len(shape) < 2:
        values = draw.standard_normal(shape) * 0.1
    else:
        values = draw.standard_normal(shape) / np.sqrt(max(np.prod(shape[1:]), 1))
    return np.asarray(values, np.float32)


def fill_(module, skip=()):
    """Fill the state of a torch module in place, except names in `skip` and index tables; returns the module."""
    import torch

    with torch.no_grad():
        for name, value in module.state_dict().items():
            drawn = value.is_floating_point() or name.endswith("num_batches_tracked")
            if drawn and name not in skip:
                value.copy_(torch.from_numpy(tensor(name, tuple(value.shape))))
    return module


def array(name, *shape):
    """A standard normal input, float32."""
    return generator(f"input:{name}").standard_normal(shape).astype(np.float32)


def image(height=480, width=640):
    """A picture, uint8 RGB [H, W, 3]: gradients, seven discs, a bar and noise."""
    draw = generator(f"image:{height}x{width}")
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    picture = np.stack([columns / width, rows / height, 1 - columns / width], axis=-1) * 160
    for _ in range(7):
        row, column = draw.uniform(0, height), draw.uniform(0, width)
        radius = draw.uniform(0.05, 0.2) * min(height, width)
        picture[(rows - row) ** 2 + (columns - column) ** 2 < radius * radius] = draw.uniform(0, 255, 3)
    picture[height // 2 : height // 2 + height // 16] = draw.uniform(0, 255, 3)
    picture += draw.uniform(-12, 12, picture.shape)
    return np.rint(picture).clip(0, 255).astype(np.uint8)


def digest(value):
    """Shape, moments and 64 evenly spaced samples of an array or a tensor."""
    if hasattr(value, "detach"):
        value = value.detach().float().cpu().numpy()
    values = np.asarray(value, np.float32)
    flat = values.ravel().astype(np.float64)
    places = np.linspace(0, flat.size - 1, min(SAMPLES, flat.size)).round().astype(int)
    return {
        "shape": list(values.shape),
        "mean": float(flat.mean()),
        "std": float(flat.std()),
        "l2": float(np.sqrt((flat**2).sum())),
        "samples": [round(float(sample), 6) for sample in flat[places]],
    }


def difference(value, expected):
    """Largest error of a sample relative to the expected std (absolute if that is 0); infinite if the shapes differ."""
    got = digest(value)
    if got["shape"] != expected["shape"]:
        return float("inf")
    error = np.abs(np.subtract(got["samples"], expected["samples"])).max()
    return float(error / (expected["std"] if expected["std"] > 1e-12 else 1.0))
