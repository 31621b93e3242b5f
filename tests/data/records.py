"""Small annotation files to read: 8 x 6 images, and masks that are known."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 6, 8
SQUARE = [2, 1, 6, 1, 6, 4, 2, 4]  # columns 2 to 5, rows 1 to 3


def square() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[1:4, 2:6] = True
    return mask


def image(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"id": number, "width": WIDTH, "height": HEIGHT, "file_name": f"{number:03}.jpg"} | changes


def annotation(number: int = 1, image_id: int = 1, **changes: Any) -> dict[str, Any]:
    fields = {"id": number, "image_id": image_id, "category_id": 3, "bbox": [2, 1, 4, 3], "area": 12, "iscrowd": 0}
    return fields | {"segmentation": [SQUARE]} | changes


def content(**changes: Any) -> dict[str, Any]:
    categories = [{"id": 3, "name": "boat"}, {"id": 7, "name": "gull"}]
    return {"images": [image()], "annotations": [annotation()], "categories": categories} | changes


def write_coco(folder: Path, **changes: Any) -> Path:
    """`instances.json` in the folder."""
    path = folder / "instances.json"
    path.write_text(json.dumps(content(**changes)))
    return path


def write_image(path: Path, size_hw: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size_hw, 3), 90, np.uint8)).save(path)


def jpeg(gray: int = 90) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), gray, np.uint8)).save(file, "JPEG")
    return file.getvalue()


def record(**changes: Any) -> bytes:
    """An SA-1B record of one mask."""
    segmentation = {"size": [HEIGHT, WIDTH], "counts": [13, 3, 3, 3, 3, 3, 3, 3, 14]}
    mask = {"id": 5, "bbox": [2, 1, 4, 3], "area": 12, "segmentation": segmentation} | changes
    return json.dumps({"image": {"width": WIDTH, "height": HEIGHT}, "annotations": [mask]}).encode()


def write_shard(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as shard:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            shard.addfile(info, io.BytesIO(data))
    return path
