"""Packs: photos made small and put together, for a machine that has little time and takes few bytes.

A pack is an SA-1B shard, so every verb that reads data reads it.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from samlet.data import Sample
from samlet.errors import OutputError
from samlet.files import make_folder, write_aside
from samlet.geometry.rle import area, encode, to_box
from samlet.preprocess import resize
from samlet.training.batches.views import generator

QUALITY = 90
PATTERN = "pack-{:03d}.tar"
_BLOCK_BYTES = tarfile.BLOCKSIZE

Files = list[tuple[str, bytes]]


def pack(
    samples: Sequence[Sample],
    output: Path,
    max_side: int = 384,
    max_bytes: int = 45_000_000,
    told: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write the samples as shards `pack-000.tar`, … of at most `max_bytes` each, and return their paths.

    Each photo is scaled until its long side has at most `max_side` pixels, with its masks, and kept as JPEG. The order
    is drawn, so that each pack is a sample of the whole. OutputError if a folder holds packs already.
    """
    if any(output.glob("pack-*.tar")):
        raise OutputError(f"{output} holds packs already: choose another folder, or remove them.")
    make_folder(output)
    order = generator(0, "pack").permutation(len(samples))
    paths: list[Path] = []
    for group in _groups(_told(samples, order, max_side, told), max_bytes):
        path = output / PATTERN.format(len(paths))
        with write_aside(path) as aside, tarfile.open(aside, "w") as archive:
            for name, content in group:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        paths.append(path)
    return paths


def _told(
    samples: Sequence[Sample], order: NDArray[np.int64], max_side: int, told: Callable[[int, int], None] | None
) -> Iterator[Files]:
    for done, index in enumerate(order, start=1):
        yield _files_of(samples[int(index)], int(index), max_side)
        if told is not None:
            told(done, len(order))


def _groups(photos: Iterator[Files], max_bytes: int) -> Iterator[Files]:
    """The files of as many photos as fit a pack; one that fits none has a pack of its own."""
    group: Files = []
    size = 0
    for files in photos:
        own = sum(_BLOCK_BYTES + -(-len(content) // _BLOCK_BYTES) * _BLOCK_BYTES for _, content in files)
        if group and size + own > max_bytes - tarfile.RECORDSIZE:
            yield group
            group, size = [], 0
        group += files
        size += own
    if group:
        yield group


def _files_of(sample: Sample, number: int, max_side: int) -> Files:
    """A photo and, if it has masks, its record; the source stays what the name begins with."""
    image = sample.read_image()
    height, width = image.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    size_hw = max(1, round(height * scale)), max(1, round(width * scale))
    name = f"{sample.source}_{number:06d}"
    buffer = io.BytesIO()
    Image.fromarray(resize(image, size_hw)).save(buffer, "JPEG", quality=QUALITY)
    files = [(f"{name}.jpg", buffer.getvalue())]
    if sample.annotations:
        files.append((f"{name}.json", json.dumps(_record(sample, f"{name}.jpg", number, size_hw)).encode()))
    return files


def _record(sample: Sample, file_name: str, number: int, size_hw: tuple[int, int]) -> dict[str, Any]:
    masks = [
        encode(_scaled(annotation.to_array(), size_hw)) for annotation in sample.annotations if not annotation.crowd
    ]
    return {
        "image": {"image_id": number, "width": size_hw[1], "height": size_hw[0], "file_name": file_name},
        "annotations": [
            {
                "id": place,
                "bbox": list(to_box(mask)),
                "area": area(mask),
                "segmentation": {**mask, "counts": mask["counts"].decode()},
            }
            for place, mask in enumerate(masks, start=1)
            if area(mask)
        ],
    }


def _scaled(mask: NDArray[np.bool_], size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """A pixel belongs to the mask if more than half of what it stands for does."""
    if mask.shape == size_hw:
        return mask
    height, width = size_hw
    return np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BOX)) > 128
