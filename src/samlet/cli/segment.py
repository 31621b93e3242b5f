"""`samlet segment`: points and boxes in; masks, a picture and a record out."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from samlet.cli.options.model import THE_DEFAULT, ModelOptions
from samlet.cli.options.prompts import parse_prompts
from samlet.cli.outputs import Outputs, plan_outputs
from samlet.cli.ownership import OVERWRITE, readable
from samlet.cli.progress import progress_bars
from samlet.cli.tables import print_table
from samlet.drawing import overlay, png
from samlet.errors import PromptError
from samlet.files import make_folder, write_set
from samlet.images import read_image
from samlet.marks import Photo, marked_png, marked_record
from samlet.masks.saving import mask_png

if TYPE_CHECKING:
    from samlet.backend import Embedding
    from samlet.masks import MaskSet
    from samlet.predictor import Predictor
    from samlet.prompts import Prompts

# What the three candidates of a prompt are for: part, whole, group.
CANDIDATES_PER_PROMPT = 3
COLUMNS = (
    ("mask", "right"),
    ("predicted IoU", "right"),
    ("area (px)", "right"),
    ("box (x0,y0,x1,y1)", "right"),
    ("file", "left"),
)


def segment(
    images: Annotated[list[Path], Parameter(help="Image files.")],
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
    all_masks: Annotated[bool, Parameter(help="Write the three candidates, not only the best.")] = False,
    select: Annotated[
        Literal["iou", "stability"],
        Parameter(help="Which mask is best: by the IoU the model predicts, or (EdgeSAM) by its stability."),
    ] = "iou",
    model: ModelOptions = THE_DEFAULT,
    output: Annotated[
        Path, Parameter(help="Folder for <image>.mask.png, .overlay.png and .json; default: here.")
    ] = Path(),
    overwrite: Annotated[bool, Parameter(help=OVERWRITE)] = False,
    json_: Annotated[bool, Parameter(name="--json", help="Print one JSON record per image.")] = False,
) -> None:
    """Cut objects out of images with points and boxes.

    For each image it writes <image>.mask.png (0 or 255; several masks: .mask.1.png, …), <image>.overlay.png, a picture
    to look at, and <image>.json, a record in the style of SA-1B. A file that samlet did not write, or wrote for another
    photo, is not replaced without --overwrite.
    """
    prompts = parse_prompts(point, box)
    mask_count = len(prompts) * (CANDIDATES_PER_PROMPT if all_masks else 1)
    plans = plan_outputs(images, output, mask_count, overwrite)

    predictor = model.load()
    rows = []
    with progress_bars(shown=None if len(images) > 1 else False) as bars:
        for number, (image, plan) in enumerate(
            bars.track(list(zip(images, plans, strict=True)), description="segmenting")
        ):
            pixels, embedding = _embed(image, predictor, prompts)
            masks = predictor.predict(embedding, prompts, candidates="all" if all_masks else "best", select=select)
            picture = overlay(pixels, masks, prompts)
            record = _write(image, plan, picture, masks, masks.to_json(image.name, number))
            rows += _rows(masks, plan)
            if json_:
                print(json.dumps(record), flush=True)
    if not json_:
        print_table(COLUMNS, rows)


def _embed(image: Path, predictor: Predictor, prompts: Prompts) -> tuple[NDArray[np.uint8], Embedding]:
    """Read and encode one image; a prompt that does not fit it is refused before the encoder runs."""
    pixels = read_image(image)
    height, width, _ = pixels.shape
    try:
        prompts.check((height, width))
    except PromptError as error:
        raise PromptError(f'"{image}": {error}') from error
    return pixels, predictor.embed(pixels)


def _write(
    image: Path, plan: Outputs, picture: NDArray[np.uint8], masks: MaskSet, record: dict[str, Any]
) -> dict[str, Any]:
    """Write all files of one image, or none of them; return the record as written, marked."""
    folder = make_folder(plan.record.parent)
    with readable(image):
        record = marked_record(record, Photo.of(image, folder))
    arrays = zip(plan.masks, masks, strict=True)
    write_set(
        itertools.chain(
            ((path, marked_png(mask_png(mask.to_array()))) for path, mask in arrays),
            [(plan.overlay, marked_png(png(picture))), (plan.record, json.dumps(record).encode() + b"\n")],
        ),
        replaced=plan.stale(image),
    )
    return record


def _rows(masks: MaskSet, plan: Outputs) -> Iterator[tuple[str, ...]]:
    for number, (mask, path) in enumerate(zip(masks, plan.masks, strict=True), start=1):
        iou = "–" if mask.iou is None else f"{mask.iou:.3f}"
        x, y, width, height = mask.box_xywh
        box = f"{x},{y},{x + width},{y + height}"
        yield str(number), iou, f"{mask.area_px:,}", box, str(path)
