"""Masks as files: a record, a picture, or a folder of both; written aside, then renamed."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from samlet.errors import OutputError
from samlet.files import make_folder, write_files, write_set
from samlet.geometry.bands import LabelRows
from samlet.png import labels_png, mask_png

if TYPE_CHECKING:
    from samlet.masks.mask_set import MaskSet

RECORD = "masks.json"


def save(masks: MaskSet, path: Path) -> None:
    """What `MaskSet.save` says."""
    suffix = path.suffix.lower()
    if path.is_dir() or not suffix:
        make_folder(path)
        pictures = ((path / f"{number}.png", mask_png(mask.rle)) for number, mask in enumerate(masks))
        write_set(itertools.chain(pictures, [(path / RECORD, _record(masks, path.name))]))
    elif suffix == ".json":
        write_files({path: _record(masks, path.stem)})
    elif suffix == ".png":
        codes = [mask.rle for mask in masks]
        one = len(codes) == 1
        write_set([(path, mask_png(codes[0]) if one else labels_png(LabelRows(codes, masks.size_hw)))])
    else:
        raise OutputError(f'"{path}" cannot be written: use a name that ends in .json or .png, or a folder.')


def _record(masks: MaskSet, name: str) -> bytes:
    return json.dumps(masks.to_json(name)).encode() + b"\n"
