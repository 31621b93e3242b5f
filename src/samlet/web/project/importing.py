"""Annotation files that are brought into a project: COCO, labelme, SA-1B. Their readers are `samlet.data`'s."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from samlet.data import coco, labelme, sa1b
from samlet.data.matching import parts_of
from samlet.data.sample import Sample
from samlet.errors import DataError
from samlet.reading import decoding
from samlet.web.project.photos import Photo

UNNAMED = "object"


def parse_file(name: str, content: bytes) -> list[tuple[str, Sample]]:
    """The images of a file, by the path that the file gives them. DataError if it is of none of the three kinds."""
    with decoding(name, "JSON"):
        record = json.loads(content.decode("utf-8-sig"))
    if labelme.is_labelme(record):
        stated = record.get("imagePath")
        path = PureWindowsPath(stated if isinstance(stated, str) else name).as_posix()
        return [(path, labelme.parse_record(record, Path(name).stem, Path(path), name))]
    if isinstance(record, dict) and "image" in record:
        stated = record["image"].get("file_name") if isinstance(record["image"], dict) else None
        path = stated if isinstance(stated, str) and stated else name
        return [(path, sa1b.parse_record(record, Path(name).stem, Path(path), name))]
    if isinstance(record, dict) and "images" in record:
        return [(str(sample.image), sample) for sample in coco.parse_samples(record, Path(name))]
    raise DataError(f"{name} is none of COCO, labelme and SA-1B: it has no images, shapes or image.")


def find_photo(stated: str, photos: Mapping[str, Photo]) -> Photo | None:
    """The photo that a path means: by all of it, by an end of it, or by the name without suffix; never one of two."""
    parts = parts_of(stated)
    for length in range(len(parts), 0, -1):
        tail = parts[-length:]
        found = [photo for photo in photos.values() if PurePosixPath(photo.name).parts[-length:] == tail]
        if found:
            return found[0] if len(found) == 1 else None
    stem = PurePosixPath(parts[-1]).stem if parts else ""
    found = [photo for photo in photos.values() if PurePosixPath(photo.name).stem == stem]
    return found[0] if len(found) == 1 else None


def layers_of(sample: Sample) -> list[dict[str, Any]]:
    """The masks of an image as layers that can be stored; empty ones are left out."""
    return [
        {
            "id": secrets.token_hex(8),
            "label": annotation.category or UNNAMED,
            "visible": True,
            "locked": False,
            "rle": {"size": list(annotation.rle["size"]), "counts": annotation.rle["counts"].decode("ascii")},
        }
        for annotation in sample.annotations
        if annotation.area_px > 0
    ]
