"""Opens whatever holds images and their classes, several paths as one set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from samlet.data.class_folders import open_classes
from samlet.data.class_maps import Split, open_class_maps
from samlet.data.classes import ClassData
from samlet.data.opening import check_missing
from samlet.data.sample import tell_apart
from samlet.errors import DataError, InputError

Kind = Literal["classes", "class maps"]


def open_class_data(
    paths: Sequence[Path], kind: Kind, split: Split, images: Path | None = None, allow_missing: int = 0
) -> ClassData:
    """The samples of folders or tables of classes (`class_folders`), or of folders with label maps (`class_maps`).

    `split` of data sets that have one; `images` of tables. DataError if two of the paths have different classes, or
    more than `allow_missing` images are missing; InputError for `images` without a table.
    """
    maps = kind == "class maps"
    if maps and images is not None:
        raise InputError("--images belongs to a table of classes: a folder of label maps holds its images.")
    opened = [open_class_maps(path, split) if maps else open_classes(path, images) for path in paths]
    for path, found in zip(paths, opened, strict=True):
        if found.classes != opened[0].classes:
            raise DataError(
                f"{path} has other classes than {paths[0]}: {len(found.classes)} and {len(opened[0].classes)} names "
                "that differ or stand in another order; write the same classes.txt into both."
            )
    missing = tuple(name for found in opened for name in found.missing)
    samples = [sample for found in opened for sample in found.samples]
    check_missing(missing, len(samples), allow_missing)
    return replace(opened[0], samples=tell_apart(samples), missing=missing)
