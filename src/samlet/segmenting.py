"""The verb for people, `Predictor.segment`: an answer, a second look at it, edges where the photo has them, no specks.

`predict` is the network's own answer and stays it. Here an answer is worked on as logits over a small grid around the
object (`samlet.geometry.edges`). What each step gains and costs is measured in docs/guides/segment.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from samlet.dialogue import Answers, answer, are_clicks, are_one_click
from samlet.errors import InputError
from samlet.geometry.clean import clean_code, smoothed
from samlet.geometry.edges import Edges, LogitGrid
from samlet.geometry.patches import BEYOND, Patch
from samlet.geometry.regions import stability_score
from samlet.geometry.rle import Rle, decode, encode, encode_bands, encode_window
from samlet.geometry.windows import WIDE, Window, merged, window_around
from samlet.masks import Mask, MaskSet
from samlet.opencv import cv2
from samlet.prompts import PointLabel, Prompts

if TYPE_CHECKING:
    from samlet.backend import Embedding
    from samlet.candidates import Select
    from samlet.predictor import Predictor

Refine = Literal["auto", "none", "edges", "look"]
REFINE: tuple[Refine, ...] = ("auto", "none", "edges", "look")

MOST_SMOOTH = 0.2  # of the root of the mask's area: more turns everything into a blob
STABILITY_OFFSET = 1.0


@dataclass(frozen=True, eq=False)
class _Look:
    """A second answer to one prompt (`row` of `answers`), made in a window of the photo."""

    window: Window
    answers: Answers
    row: int


@dataclass(frozen=True)
class _Prompt:
    """One prompt: clicks and their labels, and the two corners of its box, [0, 2] if it has none; photo pixels.

    `is_one_click`: whether a click on something is all it is.
    """

    clicks_xy: NDArray[np.float64]
    labels: NDArray[np.int64]
    corners_xy: NDArray[np.float64]
    is_one_click: bool

    @classmethod
    def each(cls, prompts: Prompts) -> list[_Prompt]:
        """The rows of `prompts`."""
        rows = zip(prompts.points_xy, prompts.labels, are_one_click(prompts.labels).tolist(), strict=True)
        return [cls._of(*row) for row in rows]

    @classmethod
    def _of(cls, points_xy: NDArray[np.float64], labels: NDArray[np.int64], is_one_click: bool) -> _Prompt:
        click = are_clicks(labels)
        return cls(points_xy[click], labels[click], points_xy[labels >= PointLabel.BOX_TOP_LEFT], is_one_click)

    @property
    def positive_xy(self) -> NDArray[np.float64]:
        return self.clicks_xy[self.labels == PointLabel.FOREGROUND]

    @property
    def negative_xy(self) -> NDArray[np.float64]:
        return self.clicks_xy[self.labels == PointLabel.BACKGROUND]

    def within(self, window: Window, box_xyxy: NDArray[np.float64]) -> Prompts:
        """The same question in the pixels of a window, with a box; clicks outside of the window are left out."""
        height, width = window.size_hw
        corner_xy = np.array([window.left, window.top])
        clicks_xy = self.clicks_xy - corner_xy
        inside = ((clicks_xy >= 0) & (clicks_xy < (width, height))).all(axis=1)
        box = box_xyxy - np.tile(corner_xy, 2)
        return Prompts.boxes(box, clicks_xy[inside], self.labels[inside]) if inside.any() else Prompts.boxes(box)


def segment(
    predictor: Predictor,
    photo: NDArray[np.uint8],
    embedding: Embedding,
    prompts: Prompts,
    *,
    refine: Refine = "auto",
    clean: bool = True,
    smooth: float = 0.0,
    select: Select = "iou",
) -> MaskSet:
    """What `Predictor.segment` says, of a photo uint8 RGB [H, W, 3] and its embedding."""
    if refine not in REFINE:
        raise InputError(f'refine is {refine!r}; it must be "auto", "none", "edges" or "look".')
    if not 0 <= smooth <= MOST_SMOOTH:
        raise InputError(f"smooth is {smooth!r}: it must be from 0 to {MOST_SMOOTH}, of the root of the mask's area.")
    if smooth and not clean:
        raise InputError("smooth is a part of the clean-up, which clean=False leaves out: give one of the two.")
    first = answer(predictor, embedding, prompts, select)
    asked = _Prompt.each(prompts)
    looks = _looks(predictor, photo, first, asked, select) if refine in ("auto", "look") else {}
    masks = []
    for row, prompt in enumerate(asked):
        if refine == "none":
            code, stability = Patch.cut(first.low_res[row], first.frame, -STABILITY_OFFSET).answer(STABILITY_OFFSET)
            code = _cleaned(code, prompt, smooth) if clean else code
        else:
            radius = 0.0 if refine == "look" else predictor.spec.edge_radius
            edges = Edges(radius, predictor.spec.edge_eps)
            code, stability = _refined(photo, first, row, looks.get(row), edges, prompt if clean else None, smooth)
        masks.append(Mask(rle=code, iou=float(first.iou[row]), stability=stability, prompt_index=row))
    return MaskSet(masks, first.frame.size_hw, first.low_res)


def _looks(
    predictor: Predictor, photo: NDArray[np.uint8], first: Answers, asked: list[_Prompt], select: Select
) -> dict[int, _Look]:
    """Second answers, by the number of the prompt, in windows around the first ones: encoded larger.

    Prompts whose windows lie together share one; those that fill the photo get none.
    """
    height, width = first.frame.size_hw
    boxes, windows = {}, {}
    for row, prompt in enumerate(asked):
        box = _box_of(first, row, prompt)
        if box is None:
            continue
        boxed = bool(prompt.corners_xy.size)
        # Later clicks may ask for more than the last answer has.
        framing = WIDE if len(prompt.clicks_xy) + boxed > 1 else predictor.spec.look
        least = framing.least_of_box if boxed else framing.least_of_click
        window = window_around(_around(box, prompt.positive_xy), (height, width), framing.margin, least)
        if window.area_px < framing.most * height * width:
            boxes[row], windows[row] = box, window
    looks = {}
    for window, rows in merged(windows):
        embedding = predictor.embed(photo[window.top : window.bottom, window.left : window.right])
        prompts = Prompts.stack([asked[row].within(window, boxes[row]) for row in rows])
        # A box that comes from the answer to a click is shown with it: as good as one after the other, a decoding less.
        one_click = np.array([asked[row].is_one_click for row in rows])
        answers = answer(predictor, embedding, prompts, select, one_click)
        looks |= {row: _Look(window, answers, place) for place, row in enumerate(rows)}
    return looks


def _box_of(first: Answers, row: int, prompt: _Prompt) -> NDArray[np.float64] | None:
    """The box that the second look is given, XYXY: the prompt's own, else that of the parts clicked on (or largest).

    None if there is no answer to look at.
    """
    if prompt.corners_xy.size:
        return prompt.corners_xy.reshape(4)
    height, width = first.frame.size_hw
    grid = LogitGrid.over((height, width))
    logits = first.sample(row, Window(0, 0, width, height), grid.size_hw)
    count, parts, statistics, _ = cv2.connectedComponentsWithStats((logits > 0).view(np.uint8), connectivity=8)
    if count < 2:
        return None
    columns, rows = (prompt.positive_xy / grid.step_px).astype(int).T
    hit = set(parts[rows.clip(0, grid.size_hw[0] - 1), columns.clip(0, grid.size_hw[1] - 1)].tolist()) - {0}
    chosen = sorted(hit) or [1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())]
    left, top, across, down, _ = statistics[chosen].T
    box = np.array([left.min(), top.min(), (left + across).max(), (top + down).max()]) * grid.step_px
    return np.minimum(box, [width, height, width, height])


def _around(box_xyxy: NDArray[np.float64], points_xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """The box with the pixels of the points in it, XYXY."""
    corners = np.concatenate([box_xyxy.reshape(2, 2), points_xy, points_xy + 1])
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def _refined(
    photo: NDArray[np.uint8],
    first: Answers,
    row: int,
    look: _Look | None,
    edges: Edges,
    prompt: _Prompt | None,
    smooth: float,
) -> tuple[Rle, float]:
    """Code at the size of the photo, and stability; cleaned up if there is a prompt to ask what stays."""
    size_hw = first.frame.size_hw
    window = look.window if look else edges.around(Patch.cut(first.low_res[row], first.frame, BEYOND))
    height, width = window.size_hw
    grid_hw = LogitGrid.over(window.size_hw).size_hw
    logits = first.sample(row, window, grid_hw)
    if look:
        logits = (logits + look.answers.sample(look.row, Window(0, 0, width, height), grid_hw)) * np.float32(0.5)
    stability = float(stability_score(logits, offset=STABILITY_OFFSET))
    bands = edges.bands(logits, photo, window)
    corner_xy = window.left, window.top
    if prompt is None or not smooth:
        code = encode_bands(bands, corner_xy, size_hw)
    else:
        clicks = prompt.positive_xy - corner_xy, prompt.negative_xy - corner_xy
        code = encode_window(smoothed(np.concatenate(list(bands)), smooth, *clicks), corner_xy, size_hw)
    return code if prompt is None else clean_code(code, prompt.positive_xy, prompt.negative_xy), stability


def _cleaned(code: Rle, prompt: _Prompt, smooth: float) -> Rle:
    if smooth:
        code = encode(smoothed(decode(code), smooth, prompt.positive_xy, prompt.negative_xy))
    return clean_code(code, prompt.positive_xy, prompt.negative_xy)
