"""Masks as files: a record, a picture, or a folder of both; written aside, then renamed."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from samlet.errors import OutputError
from samlet.files import make_folder, write_files, write_set
from samlet.geometry.bands import LabelRows
from samlet.marks import PNG_MARK, check_ours, is_our_json, is_our_png, marked_record
from samlet.png import labels_png, mask_png

if TYPE_CHECKING:
    from samlet.masks.mask_set import MaskSet

RECORD = "masks.json"
_REMEDY = "choose another name, or pass overwrite=True"


def save(masks: MaskSet, path: Path, overwrite: bool) -> None:
    """What `MaskSet.save` says."""
    suffix = path.suffix.lower()
    if path.is_dir() or not suffix:
        names = [path / f"{number}.png" for number in range(len(masks))]
        if not overwrite:
            check_ours([path / RECORD], is_our_json, _REMEDY)
            check_ours(names, is_our_png, _REMEDY)
        make_folder(path)
        pictures = ((name, mask_png(mask.rle, PNG_MARK)) for name, mask in zip(names, masks, strict=True))
        earlier = [each for each in path.glob("*.png") if each.stem.isdecimal() and is_our_png(each)]
        write_set(itertools.chain(pictures, [(path / RECORD, _record(masks, path.name))]), replaced=earlier)
    elif suffix == ".json":
        if not overwrite:
            check_ours([path], is_our_json, _REMEDY)
        write_files({path: _record(masks, path.stem)})
    elif suffix == ".png":
        if not overwrite:
            check_ours([path], is_our_png, _REMEDY)
        codes = [mask.rle for mask in masks]
        labels = LabelRows(codes, masks.size_hw)
        write_set([(path, mask_png(codes[0], PNG_MARK) if len(codes) == 1 else labels_png(labels, PNG_MARK))])
    else:
        raise OutputError(f'"{path}" cannot be written: use a name that ends in .json or .png, or a folder.')


def _record(masks: MaskSet, name: str) -> bytes:
    return json.dumps(marked_record(masks.to_json(name), None)).encode() + b"\n"
