"""`samlet segment`: points and boxes in; masks, a picture and a record out."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from samlet.candidates import Candidates, columns_of
from samlet.cli.formats import FormatFiles, Formats, with_digests
from samlet.cli.options.bounds import Between
from samlet.cli.options.model import THE_DEFAULT, ModelOptions
from samlet.cli.options.photos import Photos, find_photos
from samlet.cli.options.places import folder_to_write
from samlet.cli.options.prompts import parse_prompts
from samlet.cli.options.refining import RefineOption, SelectOption
from samlet.cli.outputs import Outputs, plan_outputs
from samlet.cli.ownership import OVERWRITE, readable
from samlet.cli.passing_over import MaxBroken, PassedOver
from samlet.cli.progress import progress_bars
from samlet.cli.scenes import THE_DEFAULT as MEGAPIXELS
from samlet.cli.scenes import MaxMegapixels, check_prompts, picture_of, prompts_in_picture, scene_in
from samlet.cli.tables import print_table
from samlet.drawing import overlay
from samlet.errors import InputError
from samlet.files import make_folder, write_set
from samlet.images import read_image
from samlet.marks import PNG_MARK, Photo, marked_record
from samlet.png import mask_png, picture_png

if TYPE_CHECKING:
    from samlet.masks import MaskSet
    from samlet.predictor import Predictor
    from samlet.prompts import Prompts
    from samlet.scenes import Scene

COLUMNS = (
    ("mask", "right"),
    ("predicted IoU", "right"),
    ("area (px)", "right"),
    ("box (x0,y0,x1,y1)", "right"),
    ("file", "left"),
)


def segment(
    images: Photos,
    /,
    *,
    point: Annotated[
        tuple[str, ...],
        Parameter(
            help="X,Y or X,Y,LABEL in pixels; label 1 = on the object, 0 = not on it. Repeatable.",
            allow_leading_hyphen=True,
        ),
    ] = (),
    box: Annotated[
        tuple[str, ...],
        Parameter(
            help="X0,Y0,X1,Y1 in pixels; each box is one mask, to which all points belong. Repeatable.",
            allow_leading_hyphen=True,
        ),
    ] = (),
    candidates: Annotated[
        Literal["best", "single", "multimask", "every"] | None,
        Parameter(
            help="The network's own answers, as they are: best; single, for unambiguous prompts; multimask, three "
            "(part, whole, group); every, all four. Default: one mask, refined and cleaned."
        ),
    ] = None,
    all_masks: Annotated[bool, Parameter(help="The older word for --candidates multimask.")] = False,
    select: SelectOption = "iou",
    refine: RefineOption = "auto",
    smooth: Annotated[
        float,
        Parameter(
            help="Round the outlines, by this share of the root of a mask's area; 0.02 is a little.",
            validator=Between(0, 0.2),
        ),
    ] = 0.0,
    raw: Annotated[
        bool, Parameter(help="The network's own answer, neither refined nor cleaned: short for --candidates best.")
    ] = False,
    model: ModelOptions = THE_DEFAULT,
    output: Annotated[
        Path,
        Parameter(
            help="Folder for <image>.mask.png, .overlay.png and .json; default: here.", validator=folder_to_write
        ),
    ] = Path(),
    formats: Formats = (),
    overwrite: Annotated[bool, Parameter(help=OVERWRITE)] = False,
    max_broken: MaxBroken = 0,
    max_megapixels: MaxMegapixels = MEGAPIXELS,
    json_: Annotated[bool, Parameter(name="--json", help="Print one JSON record per image.")] = False,
) -> None:
    """Cut objects out of images with points and boxes.

    For each image it writes <image>.mask.png (0 or 255; several masks: .mask.1.png, …), <image>.overlay.png, a picture
    to look at, and <image>.json, a record in the style of SA-1B; with --format more. The masks are refined, and cleaned
    of specks that no click is on; --raw is the network's own answer. An image above 100 megapixels is looked at by
    windows around each prompt, and its overlay is a reduced picture. A file that samlet did not write, or wrote for
    another photo, is not replaced without --overwrite.
    """
    prompts = parse_prompts(point, box)
    asked = _one_choice(candidates, all_masks, raw)
    masks_per_prompt = 1 if asked in (None, "best") else len(columns_of(model.spec(), asked))
    files = FormatFiles(output, formats, overwrite)
    photos = find_photos(images)
    plans = plan_outputs(photos, files, len(prompts) * masks_per_prompt)

    if smooth and asked is not None:
        raise InputError(
            "--smooth is for cleaned masks, not for the network's own: leave it, or --raw and --candidates."
        )
    answer = _Answer(model.load(), prompts, asked, select, refine, smooth, max_megapixels)
    rows, answered, broken = [], [], PassedOver(max_broken)
    with progress_bars(shown=None if len(photos) > 1 else False) as bars:
        for number, (image, plan) in enumerate(
            bars.track(list(zip(photos, plans, strict=True)), description="segmenting")
        ):
            with broken.passing_over(image):
                picture, masks = answer.of(image)
                record = _write(image, plan, files, picture, masks, masks.to_json(image.name, number))
                rows += _rows(masks, plan)
                answered.append((image.name, masks))
                if json_:
                    print(json.dumps(record), flush=True)
    files.write_coco(answered)
    if not json_:
        print_table(COLUMNS, rows)
    broken.tell()


def _one_choice(candidates: Candidates | None, all_masks: bool, raw: bool) -> Candidates | None:
    """The candidates that are wanted, by whichever option; InputError if two options want different ones."""
    older: Candidates | None = "multimask" if all_masks else "best" if raw else None
    if None not in (candidates, older) and candidates != older:
        option = "--all-masks" if all_masks else "--raw"
        raise InputError(f"{option} means --candidates {older}, not {candidates}: give one of the two.")
    return candidates or older


@dataclass(frozen=True)
class _Answer:
    """What is asked of each image; `candidates` are those of `predict`, None stands for `segment`."""

    predictor: Predictor
    prompts: Prompts
    candidates: Candidates | None
    select: Literal["iou", "stability"]
    refine: Literal["auto", "none", "edges", "look"]
    smooth: float
    max_megapixels: float

    def of(self, image: Path) -> tuple[NDArray[np.uint8], MaskSet]:
        """The overlay and the masks; a prompt that does not fit the image is refused before the encoder runs."""
        if scene := scene_in(image, self.max_megapixels):
            return self._of_scene(image, scene)
        pixels = read_image(image)
        check_prompts(self.prompts, (pixels.shape[0], pixels.shape[1]), image)
        masks = self._ask(pixels, self.prompts)
        return overlay(pixels, masks, self.prompts), masks

    def _of_scene(self, image: Path, scene: Scene) -> tuple[NDArray[np.uint8], MaskSet]:
        """As `of`; the overlay is a reduced picture of the whole scene."""
        check_prompts(self.prompts, scene.size_hw, image)
        from samlet.tiling import segment_in_windows

        masks = segment_in_windows(self._ask, scene, self.prompts)
        pixels, shown, step = picture_of(scene, masks)
        return overlay(pixels, shown, prompts_in_picture(self.prompts, step)), masks

    def _ask(self, pixels: NDArray[np.uint8], prompts: Prompts) -> MaskSet:
        if self.candidates is None:
            wanted = {"refine": self.refine, "smooth": self.smooth, "select": self.select}
            return self.predictor.segment(pixels, prompts, **wanted)
        embedding = self.predictor.embed(pixels)
        return self.predictor.predict(embedding, prompts, candidates=self.candidates, select=self.select)


def _write(
    image: Path,
    plan: Outputs,
    files: FormatFiles,
    picture: NDArray[np.uint8],
    masks: MaskSet,
    record: dict[str, Any],
) -> dict[str, Any]:
    """Write all files of one image, or none of them; return the record as written, marked."""
    folder = make_folder(plan.record.parent)
    with readable(image):
        photo = Photo.of(image, folder)
    others = files.contents(image, photo, masks)
    record = marked_record(with_digests(record, others), photo)
    arrays = zip(plan.masks, masks, strict=True)
    write_set(
        itertools.chain(
            ((path, mask_png(mask.rle, PNG_MARK)) for path, mask in arrays),
            [(plan.overlay, picture_png(picture, PNG_MARK)), *others.items()],
            [(plan.record, json.dumps(record).encode() + b"\n")],
        ),
        replaced=[*plan.stale(image), *files.stale(image, plan.record)],
    )
    return record


def _rows(masks: MaskSet, plan: Outputs) -> Iterator[tuple[str, ...]]:
    for number, (mask, path) in enumerate(zip(masks, plan.masks, strict=True), start=1):
        iou = "–" if mask.iou is None else f"{mask.iou:.3f}"
        x, y, width, height = mask.box_xywh
        box = f"{x},{y},{x + width},{y + height}"
        yield str(number), iou, f"{mask.area_px:,}", box, str(path)
