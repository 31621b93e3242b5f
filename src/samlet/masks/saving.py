"""Masks as files: a record, a picture, or a folder of both; written aside, then renamed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from samlet.drawing import png, png16
from samlet.errors import OutputError
from samlet.files import make_folder, write_files
from samlet.geometry.overlaps import label_map

if TYPE_CHECKING:
    from samlet.masks.mask_set import MaskSet

RECORD = "masks.json"


def save(masks: MaskSet, path: Path) -> None:
    """What `MaskSet.save` says."""
    suffix = path.suffix.lower()
    if path.is_dir() or not suffix:
        contents = {make_folder(path) / f"{number}.png": mask_png(mask.to_array()) for number, mask in enumerate(masks)}
        write_files({**contents, path / RECORD: _record(masks, path.name)})
    elif suffix == ".json":
        write_files({path: _record(masks, path.stem)})
    elif suffix == ".png":
        one = len(masks) == 1
        write_files({path: mask_png(masks[0].to_array()) if one else labels_png(masks)})
    else:
        raise OutputError(f'"{path}" cannot be written: use a name that ends in .json or .png, or a folder.')


def mask_png(mask: NDArray[np.bool_]) -> bytes:
    """A mask [H, W] as PNG, 0 and 255."""
    return png(np.where(mask, 255, 0))


def labels_png(masks: MaskSet) -> bytes:
    """A 16-bit PNG in which mask n is n + 1 and nothing is 0; where masks overlap, the smallest is on top."""
    return png16(label_map([mask.rle for mask in masks], masks.size_hw))


def _record(masks: MaskSet, name: str) -> bytes:
    return json.dumps(masks.to_json(name)).encode() + b"\n"
