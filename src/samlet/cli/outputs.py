"""The files that `samlet segment` writes for one image: their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from samlet.cli.formats import FormatFiles
from samlet.cli.ownership import check_images, check_inputs_stay, check_replaceable
from samlet.errors import OutputError
from samlet.files import check_folder
from samlet.marks import is_our_png


@dataclass(frozen=True)
class Outputs:
    """Where the results of one image go; `masks` has one path per mask, `others` are in the formats asked for."""

    masks: tuple[Path, ...]
    overlay: Path
    record: Path
    others: tuple[Path, ...] = ()

    @classmethod
    def plan(cls, image: Path, files: FormatFiles, mask_count: int) -> Outputs:
        """Name the files after the image: `<stem>.mask.png` (or `.mask.1.png`, …), `.overlay.png`, `.json`."""
        folder = files.folder
        numbers = [""] if mask_count == 1 else [f".{number}" for number in range(1, mask_count + 1)]
        return cls(
            masks=tuple(folder / f"{image.stem}.mask{number}.png" for number in numbers),
            overlay=folder / f"{image.stem}.overlay.png",
            record=folder / f"{image.stem}.json",
            others=tuple(files.paths(image).values()),
        )

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files, the masks first."""
        return (*self.masks, self.overlay, *self.others, self.record)

    def stale(self, image: Path) -> list[Path]:
        """Masks of an earlier answer for this image that the new one has no place for."""
        name = re.compile(rf"{re.escape(image.stem)}\.mask(\.[1-9][0-9]*)?\.png")
        there = (path for path in self.record.parent.glob("*.mask*.png") if name.fullmatch(path.name))
        return [path for path in there if path not in self.masks and is_our_png(path)]


def plan_outputs(images: Sequence[Path], files: FormatFiles, mask_count: int) -> list[Outputs]:
    """Name the files of every image; refuse, before anything is computed, what cannot end well.

    `ImageError` if an image is missing; `OutputError` if two images would write the same file, if one would overwrite
    another image of this call or, unless `files.overwrite`, anything but samlet's own results of that image, or if
    nothing can be written to the folder.
    """
    check_images(images)
    check_folder(files.folder)
    files.check()
    plans = [Outputs.plan(image, files, mask_count) for image in images]
    owner: dict[Path, Path] = {}
    for image, plan in zip(images, plans, strict=True):
        for path in plan.paths:
            first = owner.setdefault(path.resolve(), image)
            if first is not image:
                raise OutputError(f'"{first}" and "{image}" would both write "{path}": segment them into two folders.')
    pairs = list(zip(images, plans, strict=True))
    check_inputs_stay(images, ((image, path) for image, plan in pairs for path in plan.paths))
    for image, plan in pairs:
        check_replaceable(image, plan.record, plan.paths, files.overwrite)
    return plans
