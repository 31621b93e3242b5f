"""Image files that are too large to be looked at in one piece: what `segment` and `everything` do about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from samlet.cli.options.bounds import Between
from samlet.errors import PromptError
from samlet.geometry.windows import Window
from samlet.masks import Mask
from samlet.prompts import Prompts
from samlet.scenes import LARGEST_SCENE_PIXELS, MAX_SCENE_PIXELS, PhotoScene, Scene, is_scene

MaxMegapixels: TypeAlias = Annotated[
    float,
    Parameter(
        name="--max-megapixels",
        help="Refuse larger images; those above 100 megapixels are decoded whole, to 4 bytes a pixel, and looked at by "
        f"windows. Default: {MAX_SCENE_PIXELS // 1_000_000}.",
        validator=Between(1, LARGEST_SCENE_PIXELS // 1_000_000),
    ),
]
THE_DEFAULT = MAX_SCENE_PIXELS / 1e6
PICTURE_PX = 4096  # of the longer side of a scene's overlay


def scene_in(image: Path, max_megapixels: float) -> PhotoScene | None:
    """The scene in an image file; None if it is a photo, to be read whole. ImageError if it is larger than allowed."""
    most_px = round(max_megapixels * 1e6)
    return PhotoScene(image, most_px) if is_scene(image, most_px) else None


def picture_of(scene: Scene, masks: Sequence[Mask]) -> tuple[NDArray[np.uint8], list[Mask], int]:
    """A scene reduced to a picture, the masks in it, and how many pixels of the scene are one of it each way."""
    from samlet.tiling import reduced

    height, width = scene.size_hw
    step = ceil(max(height, width) / PICTURE_PX)
    pixels = scene.read(Window(0, 0, width, height), step).pixels
    return pixels, reduced(masks, step, (pixels.shape[0], pixels.shape[1])), step


def prompts_in_picture(prompts: Prompts, step: int) -> Prompts:
    """The prompts of a scene in its reduced picture."""
    return replace(prompts, points_xy=prompts.points_xy / step)


def check_prompts(prompts: Prompts, size_hw: tuple[int, int], image: Path) -> None:
    """PromptError, which names the image, for a prompt that does not fit it."""
    try:
        prompts.check(size_hw)
    except PromptError as error:
        raise PromptError(f'"{image}": {error}') from error
