"""Windows of an image: where to look a second time, and which looks can be one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import ArrayLike

from samlet.errors import ModelError

MERGED_GROWTH = 1.25  # a shared window may be so many times as long as one alone: objects then shrink by as much


@dataclass(frozen=True)
class Framing:
    """How close a look is: `margin` on each side of the box, a share of its longer side.

    `least_of_box` and `least_of_click` are the shortest windows, shares of the image's long side: more magnification
    harms tiny things. A window with more than `most` of the image shows nothing new.
    """

    margin: float
    least_of_box: float
    least_of_click: float
    most: float

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in astuple(self)):
            raise ModelError(f"The shares of a look are from 0 to 1, not {astuple(self)}.")


WIDE = Framing(margin=0.4, least_of_box=0.4, least_of_click=0.33, most=0.7)


@dataclass(frozen=True)
class Window:
    """A part of an image in pixels, ends exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width)."""
        return self.bottom - self.top, self.right - self.left

    @property
    def area_px(self) -> int:
        """How many pixels it has."""
        return (self.bottom - self.top) * (self.right - self.left)

    @property
    def xyxy(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    def grown(self, margin_px: int, size_hw: tuple[int, int]) -> Window:
        """The window with a margin on each side, as far as an image of `size_hw` goes."""
        height, width = size_hw
        return Window(
            max(self.left - margin_px, 0),
            max(self.top - margin_px, 0),
            min(self.right + margin_px, width),
            min(self.bottom + margin_px, height),
        )

    def joined(self, other: Window) -> Window:
        """The smallest window around both."""
        return Window(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


def window_around(box_xyxy: ArrayLike, size_hw: tuple[int, int], margin: float, least: float) -> Window:
    """A square around a box, as far as the image of `size_hw` has room for one; the whole box is in it.

    `margin` is a share of the box's longer side, added on each side; `least` is the smallest side as a share of the
    image's longer one, which bounds how much an encoder magnifies.
    """
    height, width = size_hw
    left, top, right, bottom = np.asarray(box_xyxy, np.float64)
    side = max(max(right - left, bottom - top) * (1 + 2 * margin), least * max(height, width))
    across, down = min(side, width), min(side, height)
    x = np.clip((left + right - across) / 2, 0, width - across)
    y = np.clip((top + bottom - down) / 2, 0, height - down)
    return Window(int(x), int(y), int(min(np.ceil(x + across), width)), int(min(np.ceil(y + down), height)))


def merged(windows: Mapping[int, Window]) -> list[tuple[Window, list[int]]]:
    """Windows that lie together as one, with the numbers of those it stands for; every window lies in its own."""
    groups: list[tuple[Window, list[int], int]] = []
    for number in sorted(windows, key=lambda each: windows[each].area_px):
        window = windows[number]
        for place, (shared, members, shortest) in enumerate(groups):
            both = shared.joined(window)
            if max(both.size_hw) <= MERGED_GROWTH * shortest:
                groups[place] = both, [*members, number], shortest
                break
        else:
            groups.append((window, [number], max(window.size_hw)))
    return [(window, members) for window, members, _ in groups]
