"""`samlet parse`: photos in; for each a label map, a picture with a legend, and the area of every class out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from samlet.cli.classify import check_named
from samlet.cli.options.bounds import Between
from samlet.cli.options.model import THE_DEFAULT, ClassesFile, ModelOptions
from samlet.cli.options.photos import Photos, find_photos
from samlet.cli.options.places import folder_to_write
from samlet.cli.ownership import OVERWRITE, check_images, check_inputs_stay, check_replaceable, readable
from samlet.cli.passing_over import MaxBroken, PassedOver
from samlet.cli.progress import progress_bars
from samlet.cli.tables import print_table
from samlet.errors import OutputError
from samlet.files import check_folder, make_folder, write_set
from samlet.images import read_image
from samlet.label_map import LabelMap
from samlet.marks import PNG_MARK, Photo, marked_record
from samlet.png import classes_png, picture_png

if TYPE_CHECKING:
    from samlet.parsing import SemanticSegmenter

COLUMNS = (("image", "left"), ("class", "left"), ("area (px)", "right"), ("share", "right"), ("label map", "left"))


@dataclass(frozen=True)
class ParseFiles:
    """Where the results of one image go, named after it."""

    labels: Path
    overlay: Path
    record: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them, the record last."""
        return self.labels, self.overlay, self.record


def parse(
    images: Photos,
    /,
    *,
    output: Annotated[
        Path,
        Parameter(
            help="Folder for <image>.labels.png, .overlay.png and .json; default: here.", validator=folder_to_write
        ),
    ] = Path(),
    window: Annotated[
        int | None,
        Parameter(
            help="Look at the image in its own size through windows of so many pixels (a multiple of 32): for large "
            "images of small things. Default: at the whole image, scaled as the model was measured with.",
            validator=Between(64, 2048),
        ),
    ] = None,
    model: ModelOptions = THE_DEFAULT,
    classes: ClassesFile | None = None,
    overwrite: Annotated[bool, Parameter(help=OVERWRITE)] = False,
    max_broken: MaxBroken = 0,
    json_: Annotated[bool, Parameter(name="--json", help="Print one JSON record per image.")] = False,
) -> None:
    """Say what each pixel of a photo is.

    For each image it writes <image>.labels.png, whose values are the classes, shown in their colors;
    <image>.overlay.png, a picture to look at, with a legend; and <image>.json, the area of every class that is in the
    image. There is no default model: --model names one of `samlet models`, or an exported folder. A file that samlet
    did not write, or wrote for another photo, is not replaced without --overwrite.
    """
    check_named(model, "efficientvit-seg-b1-ade20k")
    photos = find_photos(images)
    plans = plan_parse_files(photos, output, overwrite)
    segmenter: SemanticSegmenter = model.load("semantic_segmentation", classes=classes)
    rows: list[tuple[str, ...]] = []
    broken = PassedOver(max_broken)
    with progress_bars(shown=None if len(photos) > 1 else False) as bars:
        for photo, plan in bars.track(list(zip(photos, plans, strict=True)), description="parsing"):
            with broken.passing_over(photo):
                pixels = read_image(photo)
                found = segmenter.parse(pixels, window)
                record = _write(photo, plan, pixels, found, segmenter, window)
                rows += _rows(photo, plan, record)
                if json_:
                    print(json.dumps(record), flush=True)
    if not json_:
        print_table(COLUMNS, rows)
    broken.tell()


def plan_parse_files(photos: Sequence[Path], folder: Path, overwrite: bool) -> list[ParseFiles]:
    """Name the files of every image; refuse, before anything is computed, what cannot end well.

    ImageError if an image is missing; OutputError if two images would write the same file, or one would overwrite
    another image of this call or, unless `overwrite`, anything but samlet's own results of that image.
    """
    check_images(photos)
    check_folder(folder)
    plans = [
        ParseFiles(*(folder / f"{photo.stem}.{end}" for end in ("labels.png", "overlay.png", "json")))
        for photo in photos
    ]
    owner: dict[Path, Path] = {}
    for photo, plan in zip(photos, plans, strict=True):
        first = owner.setdefault(plan.record.resolve(), photo)
        if first is not photo:
            raise OutputError(f'"{first}" and "{photo}" would both write "{plan.record}": parse them into two folders.')
    check_inputs_stay(photos, [(photo, path) for photo, plan in zip(photos, plans, strict=True) for path in plan.paths])
    for photo, plan in zip(photos, plans, strict=True):
        check_replaceable(photo, plan.record, plan.paths, overwrite)
    return plans


def _write(
    photo: Path,
    plan: ParseFiles,
    pixels: NDArray[np.uint8],
    found: LabelMap,
    segmenter: SemanticSegmenter,
    window: int | None,
) -> dict[str, Any]:
    """Write all files of one image, or none of them; return the record as written."""
    folder = make_folder(plan.record.parent)
    with readable(photo):
        of_photo = Photo.of(photo, folder)
    said = {"image": photo.name, "model": segmenter.spec.name, "window": window, **found.to_json()}
    record = marked_record(said, of_photo)
    write_set(
        [
            (plan.labels, classes_png(found.labels, found.palette, PNG_MARK)),
            (plan.overlay, picture_png(found.overlay(pixels), PNG_MARK)),
            (plan.record, json.dumps(record).encode() + b"\n"),
        ]
    )
    return record


def _rows(photo: Path, plan: ParseFiles, record: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            str(photo) if number == 0 else "",
            each["class"],
            f"{each['area_px']:,}",
            f"{each['share']:.1%}",
            str(plan.labels) if number == 0 else "",
        )
        for number, each in enumerate(record["classes"])
    ]
