"""Two small pictures with two masks each, and one without."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from samlet.geometry.rle import encode


def write_pictures(path):
    """Write the pictures and their SA-1B records into a new folder; returns it."""
    path.mkdir()
    for index, (height, width) in enumerate([(60, 90), (80, 50), (40, 40)]):
        y, x = np.mgrid[:height, :width]
        Image.fromarray(np.stack([x * 2, y * 2, x + y], -1).astype(np.uint8)).save(path / f"set_{index}.png")
        if index < 2:
            (path / f"set_{index}.json").write_text(json.dumps(_record(height, width)))
    return path


def _record(height, width):
    annotations = []
    for number, rows in enumerate([slice(5, 30), slice(10, 35)]):
        mask = np.zeros((height, width), bool)
        mask[rows, 8:40] = True
        rle = encode(mask)
        annotations.append(
            {
                "id": number,
                "bbox": [8, rows.start, 32, 25],
                "area": int(mask.sum()),
                "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
            }
        )
    return {"image": {"image_id": 0, "width": width, "height": height}, "annotations": annotations}
