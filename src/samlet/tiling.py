"""Everything, and answers to prompts, in scenes that are read by windows.

Everything mode looks at each window of a grid and joins what they show (`samlet.geometry.seams`). A prompt is asked in
a window around it, and again in one twice as large as long as the border of the window cuts the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from samlet.ahead import one_ahead
from samlet.errors import PromptError
from samlet.everything import MaskGenerator, Progress
from samlet.geometry.overlaps import visible_parts
from samlet.geometry.rle import area, encode
from samlet.geometry.runs import Runs
from samlet.geometry.seams import Grid, Joined, Joiner, Piece
from samlet.geometry.windows import Window, window_around
from samlet.masks import Mask, MaskSet
from samlet.prompts import PointLabel, Prompts
from samlet.scenes import Scene, View

MOST_LOOK_PX = 4096  # of the side of what is segmented at once: of a larger window every second pixel is looked at, …
MARGIN = 0.5  # of a prompt's box, on each side

Ask = Callable[[NDArray[np.uint8], Prompts], MaskSet]
"""What is asked of the pixels of a window: masks of one prompt, the same number for each."""


def everything_in_windows(
    generator: MaskGenerator, scene: Scene, grid: Grid, progress: Progress | None = None
) -> MaskSet:
    """All masks of a scene of at most `LARGEST_SCENE_PIXELS`, top ones first; `progress` counts windows.

    The filters of the generator are those of each window; `disjoint` is of the scene. A mask of several windows has the
    click, and the window as its crop, of its largest piece.
    """
    joiner = Joiner(grid)
    by_window = replace(generator, disjoint=False)
    joined: list[Joined] = []
    for number in range(len(grid.tops)):
        windows = grid.row(number)
        views = []
        for window, view in zip(windows, one_ahead(scene.read, windows), strict=True):
            views.append((window, pieces_of(by_window, view, window, scene.size_hw)))
            if progress is not None:
                progress(number * len(windows) + len(views), len(grid))
        joined += joiner.add_row(views)
    masks = [_mask(each, scene.size_hw) for each in joined]
    if generator.disjoint:
        parts = zip(masks, visible_parts([mask.rle for mask in masks]), strict=True)
        masks = [replace(mask, rle=part) for mask, part in parts if area(part)]
    return MaskSet(masks, scene.size_hw)


def pieces_of(generator: MaskGenerator, view: View, window: Window, scene_hw: tuple[int, int]) -> list[Piece]:
    """What everything mode finds in a window of a scene; nothing, unasked, where the scene shows nothing."""
    if view.valid is not None and not view.valid.any():
        return []
    masks = generator.generate(view.pixels)
    return [
        Piece.of(
            _runs(mask, view, window), window, number, scene_hw, mask.iou, mask.stability, _moved(mask.point_xy, window)
        )
        for number, mask in enumerate(masks)
    ]


def segment_in_windows(ask: Ask, scene: Scene, prompts: Prompts, window_px: int = 1024) -> MaskSet:
    """What `ask` answers each prompt (pixels of the scene) in the window that shows its object whole.

    PromptError if a prompt does not lie in the scene, or carries a mask hint.
    """
    return MaskSet(
        [
            replace(mask, rle=runs.to_rle(scene.size_hw))
            for row in answers_in_windows(ask, scene, prompts, window_px)
            for mask, runs in row
        ],
        scene.size_hw,
    )


def answers_in_windows(
    ask: Ask, scene: Scene, prompts: Prompts, window_px: int = 1024
) -> Iterator[list[tuple[Mask, Runs]]]:
    """As `segment_in_windows`, for scenes of any size: prompt by prompt its masks and where they lie in the scene.

    The code of such a mask is that of the window it was found in.
    """
    if prompts.mask_hint is not None:
        raise PromptError("A mask hint is of a whole image: a scene that is read by windows takes points and boxes.")
    prompts.check(scene.size_hw)
    prompts.warn_if_normalized()
    asked = prompts.clipped(scene.size_hw)
    for row in range(len(asked)):
        yield _answer(ask, scene, Prompts(asked.points_xy[[row]], asked.labels[[row]]), row, window_px)


def _answer(ask: Ask, scene: Scene, prompt: Prompts, row: int, window_px: int) -> list[tuple[Mask, Runs]]:
    """The masks of one prompt, from the smallest window that does not cut the first of them."""
    height, width = scene.size_hw
    corners = prompt.points_xy[0][prompt.labels[0] != PointLabel.PADDING]
    box_xyxy = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    side = window_px
    while True:
        window = window_around(box_xyxy, scene.size_hw, MARGIN, side / max(height, width))
        step = ceil(max(window.size_hw) / MOST_LOOK_PX)
        view = scene.read(window, step)
        if view.valid is not None and not view.valid.any():
            masks = []
        else:
            masks = [replace(mask, prompt_index=row) for mask in ask(view.pixels, _within(prompt, window, step, view))]
        found = [(mask, _runs(mask, view, window, step)) for mask in masks]
        whole = not found or not Piece.of(found[0][1], window, 0, scene.size_hw).cut
        if whole or window.size_hw == scene.size_hw:
            return found
        side = 2 * max(window.size_hw)


def _within(prompt: Prompts, window: Window, step: int, view: View) -> Prompts:
    """The prompt in the pixels of a view."""
    height, width = view.pixels.shape[:2]
    points_xy = (prompt.points_xy - (window.left, window.top)) / step
    corner = (prompt.labels >= PointLabel.BOX_TOP_LEFT)[..., None]
    inside = points_xy.clip(0, np.where(corner, (width, height), np.nextafter((width, height), 0)))
    return Prompts(inside, prompt.labels)


def _runs(mask: Mask, view: View, window: Window, step: int = 1) -> Runs:
    """Where a mask of a view lies in the scene: only where the scene shows anything."""
    code = mask.rle
    if view.valid is not None and not view.valid.all():
        code = encode(mask.to_array() & view.valid)
    return Runs.of(code).enlarged(step).moved(window.left, window.top).within(window.xyxy)


def _moved(point_xy: tuple[float, float] | None, window: Window) -> tuple[float, float] | None:
    return None if point_xy is None else (point_xy[0] + window.left, point_xy[1] + window.top)


def _mask(joined: Joined, size_hw: tuple[int, int]) -> Mask:
    largest = max(joined.pieces, key=lambda piece: piece.runs.area_px)
    (height, width), window = largest.window.size_hw, largest.window
    return Mask(
        rle=joined.runs.to_rle(size_hw),
        iou=joined.iou,
        stability=joined.stability,
        point_xy=largest.point_xy,
        crop_box_xywh=(window.left, window.top, width, height),
        prompt_index=largest.number,
    )


def reduced(masks: Iterable[Mask], step: int, size_hw: tuple[int, int]) -> list[Mask]:
    """The masks in a picture of `size_hw` that has one pixel for each `step` x `step` of theirs."""
    return [replace(mask, rle=Runs.of(mask.rle).reduced(step).to_rle(size_hw)) for mask in masks]
