"""Windows over a scene that overlap, and the masks they show joined into those of the scene.

A thing on a border is seen by both windows, so its masks agree where the windows overlap (the seam): those whose IoU
there is high are one thing. Of its views one that no border cuts stands for all; else they are joined, the seam parted
in its middle: near its own border a window sees least. What is still cut then goes if it lies in the seam whole, where
the neighbor sees more around it, or in a larger mask. Duplicates go by their boxes, as between the crops of everything
mode. Memory goes with two rows of windows, not with the scene.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from samlet.errors import InputError
from samlet.geometry.boxes import iou_matrix, near_crop_edge, nms
from samlet.geometry.rle import iou_matrix as mask_iou_matrix
from samlet.geometry.runs import Runs, union
from samlet.geometry.windows import Window

CUT_PX = 2.0  # a mask this near to a border of its window is cut by it; networks leave a pixel's breadth there
JOIN_IOU = 0.5
DUPLICATE_IOU = 0.7
CUT_SHARE = 0.25  # of the root of a mask's area: what lies along borders beyond which nobody looked
COVERED = 0.8  # of a mask that is still cut when all is joined: then a larger one stands for it
LEAST_WINDOW_PX, MOST_WINDOW_PX = 64, 8192


@dataclass(frozen=True)
class Grid:
    """Windows of `window_px` a side over a scene of `size_hw`, row by row, each `overlap_px` or more over the next.

    All are of one size, so the last ones overlap more; a scene smaller than a window has one. InputError for a window
    or an overlap that makes no grid.
    """

    size_hw: tuple[int, int]
    window_px: int = 1024
    overlap_px: int = 128

    def __post_init__(self) -> None:
        if not LEAST_WINDOW_PX <= self.window_px <= MOST_WINDOW_PX:
            raise InputError(
                f"The window is {self.window_px} pixels: it must be from {LEAST_WINDOW_PX} to {MOST_WINDOW_PX}."
            )
        if not 0 <= self.overlap_px < self.window_px:
            raise InputError(
                f"The overlap is {self.overlap_px} pixels and the window {self.window_px}: the overlap must be smaller "
                "than the window, and not negative."
            )

    @property
    def lefts(self) -> list[int]:
        """Where the windows of a row begin."""
        return self._starts(self.size_hw[1])

    @property
    def tops(self) -> list[int]:
        """Where the rows of windows begin."""
        return self._starts(self.size_hw[0])

    def __len__(self) -> int:
        return len(self.lefts) * len(self.tops)

    def row(self, number: int) -> list[Window]:
        """The windows of one row, from left to right."""
        height, width = self.size_hw
        top, side = self.tops[number], self.window_px
        return [Window(left, top, min(left + side, width), min(top + side, height)) for left in self.lefts]

    def core(self, window: Window) -> tuple[int, int, int, int]:
        """What is farther from the window's borders than from its neighbors': seams are parted in the middle."""
        (left, right), (top, bottom) = (
            _core(starts, start, self.window_px, length)
            for starts, start, length in (
                (self.lefts, window.left, self.size_hw[1]),
                (self.tops, window.top, self.size_hw[0]),
            )
        )
        return left, top, right, bottom

    def others_with(self, box_xyxy: tuple[int, int, int, int], window: Window) -> bool:
        """Whether another window than `window` has the whole box."""
        left, top, right, bottom = box_xyxy
        columns = [x for x in self.lefts if x <= left and right <= x + self.window_px]
        rows = [y for y in self.tops if y <= top and bottom <= y + self.window_px]
        return len(columns) * len(rows) > int(window.left in columns and window.top in rows)

    def _starts(self, length: int) -> list[int]:
        step = self.window_px - self.overlap_px
        last = max(length - self.window_px, 0)
        return [*range(0, last, step), last]


@dataclass(frozen=True, eq=False)
class Piece:
    """A mask as one window shows it; `number` counts the masks of that window, `cut` says whether its border cuts it.

    None is "not known", of the predicted IoU, the stability and the click (pixels of the scene) that asked for it.
    """

    runs: Runs
    window: Window
    number: int
    cut: bool
    iou: float | None = None
    stability: float | None = None
    point_xy: tuple[float, float] | None = None

    @classmethod
    def of(
        cls,
        runs: Runs,
        window: Window,
        number: int,
        size_hw: tuple[int, int],
        iou: float | None = None,
        stability: float | None = None,
        point_xy: tuple[float, float] | None = None,
    ) -> Piece:
        """A mask that a window of a scene of `size_hw` shows."""
        cut = _touches(runs.box_xyxy, window, size_hw)
        return cls(runs, window, number, cut, iou, stability, point_xy)


@dataclass(frozen=True, eq=False)
class Joined:
    """A mask of the scene, of one piece or of several."""

    runs: Runs
    pieces: tuple[Piece, ...]

    @property
    def iou(self) -> float | None:
        """The predicted IoU of its pieces, the large ones counting more."""
        return self._mean([piece.iou for piece in self.pieces])

    @property
    def stability(self) -> float | None:
        """The stability of its pieces, as `iou`."""
        return self._mean([piece.stability for piece in self.pieces])

    def _mean(self, values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        return float(np.average(known, weights=[piece.runs.area_px for piece in self.pieces]))


@dataclass(eq=False)
class _Thing:
    """Pieces that are one thing, none of which is of another's window; they lie in the box."""

    pieces: list[Piece]
    box_xyxy: tuple[int, int, int, int]

    @property
    def area_px(self) -> int:
        """No less than what is known of it."""
        return sum(piece.runs.area_px for piece in self.pieces)

    def joined(self, grid: Grid) -> Joined:
        whole = [piece for piece in self.pieces if not piece.cut]
        if whole:
            best = max(whole, key=lambda piece: (piece.iou or 0.0, piece.runs.area_px))
            return Joined(best.runs, (best,))
        cores = [grid.core(piece.window) for piece in self.pieces]
        # In the core of a window its own piece is believed; what lies in no core is anybody's.
        parts = [
            reduce(Runs.outside, cores[:place] + cores[place + 1 :], piece.runs)
            for place, piece in enumerate(self.pieces)
        ]
        return Joined(union(parts), tuple(self.pieces))


@dataclass(eq=False)
class Joiner:
    """Takes the pieces of the grid's windows row by row, and gives the masks of the scene as they become certain.

    Pieces of two windows are one thing if their IoU in the seam is `JOIN_IOU` or more; of masks whose boxes have an IoU
    above `DUPLICATE_IOU`, that with the higher predicted IoU stays. Order and result follow from the pieces alone.
    """

    grid: Grid
    _row: int = 0
    _views: list[tuple[Window, list[Piece]]] = field(default_factory=list)  # windows whose neighbors are yet to come
    _things: dict[Piece, _Thing] = field(default_factory=dict)
    _waiting: list[Joined] = field(default_factory=list)

    def add_row(self, views: Sequence[tuple[Window, Sequence[Piece]]]) -> Iterator[Joined]:
        """The pieces of the next row's windows, from left to right; gives the masks to which nothing can be added."""
        for window, pieces in views:
            self._add(window, [piece for piece in pieces if piece.runs.area_px])
        self._row += 1
        yield from self._certain()

    def _add(self, window: Window, pieces: list[Piece]) -> None:
        self._things.update({piece: _Thing([piece], piece.runs.box_xyxy) for piece in pieces})
        agreeing = [
            (-iou, place, *numbers)
            for place, (other, theirs) in enumerate(self._views)
            for numbers, iou in _agreement(theirs, pieces, _seam(other, window), JOIN_IOU)
        ]
        for _, place, theirs, ours in sorted(agreeing):
            self._join(self._things[self._views[place][1][theirs]], self._things[pieces[ours]])
        self._views.append((window, pieces))

    def _join(self, first: _Thing, second: _Thing) -> None:
        windows = [piece.window for thing in (first, second) for piece in thing.pieces]
        if len(set(windows)) < len(windows):  # a window that tells two things apart is believed
            return
        box = Window(*first.box_xyxy).joined(Window(*second.box_xyxy)).xyxy
        both = _Thing(first.pieces + second.pieces, box)
        self._things.update(dict.fromkeys(both.pieces, both))

    def _certain(self) -> Iterator[Joined]:
        """Close what no further window can see, and give those of the closed that can have no more duplicates."""
        tops = self.grid.tops
        next_top = tops[self._row] if self._row < len(tops) else self.grid.size_hw[0]
        self._views = [(window, pieces) for window, pieces in self._views if window.bottom > next_top]
        things = dict.fromkeys(self._things.values())
        closed = [thing for thing in things if self._row == len(tops) or thing.box_xyxy[3] <= next_top]
        for thing in closed:
            for piece in thing.pieces:
                del self._things[piece]
        known = [*things, *(_Thing(list(mask.pieces), mask.runs.box_xyxy) for mask in self._waiting)]
        boxes = np.array([thing.box_xyxy for thing in known]).reshape(-1, 4)
        areas_px = np.array([thing.area_px for thing in known])
        for thing in closed:
            mask = thing.joined(self.grid)
            larger = areas_px > thing.area_px
            if self._is_left_to_others(mask) or (
                self._is_cut(mask)
                and any(_share_in(mask.runs, known[n]) >= COVERED for n in _around(mask, boxes, larger))
            ):
                continue
            self._waiting.append(mask)
        yield from self._without_duplicates(next_top)

    def _is_cut(self, mask: Joined) -> bool:
        """Whether borders cut much of it, and none of its windows shows what is beyond."""
        unseen_px = sum(self._unseen_px(mask, piece) for piece in mask.pieces if piece.cut)
        return unseen_px > CUT_SHARE * mask.runs.area_px**0.5

    def _unseen_px(self, mask: Joined, piece: Piece) -> int:
        """How much of the mask lies along the borders of one window, where no other window of its pieces looks on."""
        (height, width), window = self.grid.size_hw, piece.window
        left, top, right, bottom = window.xyxy
        depth = round(CUT_PX)
        sides = (  # a strip within the window, and a pixel beyond it
            ((left, top, left + depth, bottom), (left - 1, None)) if left else None,
            ((right - depth, top, right, bottom), (right, None)) if right < width else None,
            ((left, top, right, top + depth), (None, top - 1)) if top else None,
            ((left, bottom - depth, right, bottom), (None, bottom)) if bottom < height else None,
        )
        total = 0
        for strip, (x, y) in filter(None, sides):
            along = 0 if x is None else 1  # the axis that goes across the border
            line = np.array(piece.runs.window(strip).any(axis=along))
            for other in mask.pieces:
                seen = other.window
                if x is not None and seen.left <= x < seen.right:
                    line[max(seen.top - top, 0) : max(seen.bottom - top, 0)] = False
                if y is not None and seen.top <= y < seen.bottom:
                    line[max(seen.left - left, 0) : max(seen.right - left, 0)] = False
            total += int(np.count_nonzero(line))
        return total

    def _is_left_to_others(self, mask: Joined) -> bool:
        """Whether it is one cut piece that another window has whole."""
        piece, *others = mask.pieces
        return not others and piece.cut and self.grid.others_with(mask.runs.box_xyxy, piece.window)

    def _without_duplicates(self, next_top: int) -> Iterator[Joined]:
        """Of the waiting masks that stay which no mask to come can be a duplicate of, top ones first."""
        boxes = np.array([mask.runs.box_xyxy for mask in self._waiting], np.float64).reshape(-1, 4)
        # Of two duplicates neither is higher than the other by more than this factor, so one that ends so far above
        # what is still open cannot be a duplicate of it.
        reach = (boxes[:, 3] - boxes[:, 1]) * (1 / DUPLICATE_IOU - 1)
        held = boxes[:, 3] > next_top - reach if self._row < len(self.grid.tops) else np.zeros(len(boxes), bool)
        group = _groups(boxes, DUPLICATE_IOU)
        held = np.isin(group, group[held])
        settled = []
        for members in _members(group, ~held):
            scores = [self._waiting[number].iou or 0.0 for number in members]
            settled += [self._waiting[members[place]] for place in nms(boxes[members], scores, DUPLICATE_IOU)]
        self._waiting = [mask for mask, waits in zip(self._waiting, held, strict=True) if waits]
        yield from sorted(settled, key=lambda mask: (mask.runs.box_xyxy[1], mask.runs.box_xyxy[0]))


def _core(starts: list[int], start: int, window_px: int, length: int) -> tuple[int, int]:
    place = starts.index(start)
    first = (starts[place - 1] + window_px + start) // 2 if place else 0
    last = (start + window_px + starts[place + 1]) // 2 if place + 1 < len(starts) else length
    return first, last


def _touches(box_xyxy: tuple[int, int, int, int], window: Window, size_hw: tuple[int, int]) -> bool:
    """Whether a box has a side on a border of the window that is not one of the scene."""
    inside = np.subtract(box_xyxy, (window.left, window.top) * 2)
    return bool(near_crop_edge(inside, window.xyxy, size_hw, CUT_PX))


def _around(mask: Joined, boxes_xyxy: NDArray[np.int64], larger: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The numbers of the larger things, of those with boxes [N, 4], that may cover the mask."""
    left, top, right, bottom = mask.runs.box_xyxy
    across = np.minimum(boxes_xyxy[:, 2], right) - np.maximum(boxes_xyxy[:, 0], left)
    down = np.minimum(boxes_xyxy[:, 3], bottom) - np.maximum(boxes_xyxy[:, 1], top)
    return np.flatnonzero((across.clip(0) * down.clip(0) >= COVERED * mask.runs.area_px) & larger)


def _share_in(runs: Runs, thing: _Thing) -> float:
    """The share of a mask that lies in a thing, as far as that is known."""
    parts = [piece.runs.within(runs.box_xyxy) for piece in thing.pieces]
    together = union([runs, *parts]).area_px
    return (runs.area_px + union(parts).area_px - together) / runs.area_px


def _groups(boxes_xyxy: NDArray[np.float64], least_iou: float) -> NDArray[np.int64]:
    """For each box [N, 4] the number of its group: boxes with an IoU above `least_iou`, and those of their boxes."""
    order = np.argsort(boxes_xyxy[:, 0], kind="stable")
    lefts, widths = boxes_xyxy[order, 0], (boxes_xyxy[:, 2] - boxes_xyxy[:, 0])[order]
    # Only boxes that begin near each other can be so alike; all pairs of a large scene would take gigabytes.
    ends = np.searchsorted(lefts, lefts + (1 - least_iou) * widths, side="right")
    pairs = [np.zeros((0, 2), np.int64)]
    for place in np.flatnonzero(ends > np.arange(1, len(order) + 1)):
        near = order[place + 1 : ends[place]]
        alike = near[iou_matrix(boxes_xyxy[order[place]][None], boxes_xyxy[near])[0] > least_iou]
        pairs.append(np.stack([np.full(len(alike), order[place]), alike], axis=1))
    one, other = np.concatenate(pairs).T
    group = np.arange(len(boxes_xyxy))
    while (group[one] != group[other]).any():
        least = np.minimum(group[one], group[other])
        np.minimum.at(group, one, least)
        np.minimum.at(group, other, least)
    return group


def _members(group: NDArray[np.int64], wanted: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """The numbers of the wanted, group by group."""
    numbers = np.flatnonzero(wanted)
    numbers = numbers[np.argsort(group[numbers], kind="stable")]
    return np.split(numbers, np.flatnonzero(np.diff(group[numbers])) + 1) if len(numbers) else []


def _seam(first: Window, second: Window) -> tuple[int, int, int, int]:
    return (
        max(first.left, second.left),
        max(first.top, second.top),
        min(first.right, second.right),
        min(first.bottom, second.bottom),
    )


def _agreement(
    first: Sequence[Piece], second: Sequence[Piece], seam_xyxy: tuple[int, int, int, int], least_iou: float
) -> Iterator[tuple[tuple[int, int], float]]:
    """Pairs of pieces, by their numbers in the two lists, whose IoU within the seam is `least_iou` or more."""
    left, top, right, bottom = seam_xyxy
    if left >= right or top >= bottom:
        return
    parts = [[(n, piece.runs.within(seam_xyxy)) for n, piece in enumerate(pieces)] for pieces in (first, second)]
    theirs, ours = ([(n, part) for n, part in each if part.area_px] for each in parts)
    size_hw, corner_xy = (bottom - top, right - left), (left, top)
    codes = [[part.to_rle(size_hw, corner_xy) for _, part in each] for each in (theirs, ours)]
    for row, column in np.argwhere((ious := mask_iou_matrix(*codes)) >= least_iou).tolist():
        yield (theirs[row][0], ours[column][0]), float(ious[row, column])
