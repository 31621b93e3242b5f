"""`samlet everything`: all things in photos; for each photo masks, a table, a label map, a picture and a record."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from samlet.cli.everything_files import EverythingFiles, plan_files
from samlet.cli.formats import FormatFiles, Formats
from samlet.cli.options.everything import AS_THEY_ARE, EverythingOptions
from samlet.cli.options.model import THE_DEFAULT, ModelOptions
from samlet.cli.options.photos import Photos, find_photos
from samlet.cli.options.places import folder_to_write
from samlet.cli.ownership import OVERWRITE
from samlet.cli.passing_over import MaxBroken, PassedOver
from samlet.cli.progress import progress_bars
from samlet.cli.scenes import THE_DEFAULT as MEGAPIXELS
from samlet.cli.scenes import MaxMegapixels, picture_of, scene_in
from samlet.cli.tables import print_table
from samlet.geometry.seams import Grid
from samlet.images import read_image
from samlet.masks import Mask, MaskSet

if TYPE_CHECKING:
    from rich.progress import Progress

    from samlet.everything import MaskGenerator

COLUMNS = (("image", "left"), ("masks", "right"), ("covered", "right"), ("record", "left"))


def everything(
    images: Photos,
    /,
    *,
    output: Annotated[
        Path,
        Parameter(help="Folder for the results; a run that was stopped goes on there.", validator=folder_to_write),
    ],
    how: EverythingOptions = AS_THEY_ARE,
    model: ModelOptions = THE_DEFAULT,
    formats: Formats = (),
    overwrite: Annotated[bool, Parameter(help=OVERWRITE)] = False,
    max_broken: MaxBroken = 0,
    max_megapixels: MaxMegapixels = MEGAPIXELS,
    json_: Annotated[bool, Parameter(name="--json", help="Print one JSON record per image.")] = False,
) -> None:
    """Find everything in photos with a grid of clicks.

    For each image it writes <image>.json, a record in the style of SA-1B; <image>.masks/, a PNG for each mask and
    metadata.csv; <image>.labels.png, 16-bit, in which mask n is n + 1; <image>.overlay.png, a picture to look at; with
    --format more. An image above 100 megapixels is looked at by windows of 1024 pixels; the masks that their borders
    cut are joined, and its overlay is a reduced picture.
    Images that are done with the same settings are not done again. A file that samlet did not write, or wrote for
    another photo, is not replaced without --overwrite.
    """
    from samlet.everything import MaskGenerator

    settings = how.settings()
    files = FormatFiles(output, formats, overwrite)
    files.check()
    plans = plan_files(find_photos(images), output, overwrite)
    predictor = model.load()
    generator = MaskGenerator(predictor, **settings, memory_budget=how.memory_budget << 20)
    settings |= {"model": predictor.spec.name, "checkpoint": model.checkpoint and model.checkpoint.name}
    for plan in plans:
        plan.check_unless_finished(settings)
        files.check_of(plan.image, plan.record)
    rows, found, broken = [], [], PassedOver(max_broken)
    with progress_bars() as progress:
        look = _Look(generator, max_megapixels, progress)
        for number, plan in enumerate(plans):
            with broken.passing_over(plan.image):
                record = plan.finished(settings) or _segment(plan, number, files, look, settings)
                record = files.complete(plan.image, plan.record, record)
                if "coco" in formats:
                    found.append((plan.image.name, MaskSet.from_json(record)))
                rows.append(_row(plan, record))
                if json_:
                    print(json.dumps(record), flush=True)
    files.write_coco(found)
    if not json_:
        print_table(COLUMNS, rows)
    broken.tell()


@dataclass(frozen=True)
class _Look:
    """Looks for everything in an image, and shows how far it is."""

    generator: MaskGenerator
    max_megapixels: float
    progress: Progress

    def at(self, image: Path) -> tuple[MaskSet, NDArray[np.uint8], Sequence[Mask]]:
        """The masks, and for the overlay a picture of the image and the masks in it."""
        task = self.progress.add_task(image.name, total=None)
        tell = _teller(self.progress, task)
        if scene := scene_in(image, self.max_megapixels):
            from samlet.tiling import everything_in_windows

            masks = everything_in_windows(self.generator, scene, Grid(scene.size_hw), tell)
            pixels, shown, _ = picture_of(scene, masks)
        else:
            pixels = read_image(image)
            shown = masks = self.generator.generate(pixels, tell)
        self.progress.update(task, visible=False)
        return masks, pixels, shown


def _segment(
    plan: EverythingFiles, number: int, files: FormatFiles, look: _Look, settings: dict[str, Any]
) -> dict[str, Any]:
    """Segment one image, write its files and return its record."""
    plan.check()
    masks, picture, shown = look.at(plan.image)
    record = masks.to_json(plan.image.name, number) | {"settings": settings, "covered": _covered(masks)}
    record = plan.marked(record)
    plan.write(picture, shown, masks, record, files.stale(plan.image, plan.record))
    return record


def _row(plan: EverythingFiles, record: dict[str, Any]) -> tuple[str, ...]:
    return str(plan.image), str(len(record["annotations"])), f"{record['covered']:.0%}", str(plan.record)


def _covered(masks: MaskSet) -> float:
    """The share of the image under at least one mask."""
    from samlet.geometry.rle import union_area

    height, width = masks.size_hw
    return round(union_area([mask.rle for mask in masks]) / (height * width), 4)


def _teller(progress: Progress, task: Any) -> Callable[[int, int], None]:
    return lambda done, total: progress.update(task, completed=done, total=total)
