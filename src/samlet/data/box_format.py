"""Tells boxes in another format than [x, y, width, height] by how many of them would make no sense."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from samlet.data.fields import BoxXywh
from samlet.errors import DataError

_SUSPECT_SHARE = 0.25
_FEWEST = 8  # boxes that a share says something about
_SLACK_PX = 1


def check_box_format(boxes_xywh: Sequence[BoxXywh], sizes_hw: Sequence[tuple[int, int]], where: str) -> None:
    """DataError if so many boxes leave their image that they must be something else: corners, fractions, other images.

    `sizes_hw` are the sizes of each box's image. A box that hangs over the border now and then is no alarm.
    """
    if not boxes_xywh:
        return
    left, top, width, height = np.array(boxes_xywh, np.float64).T
    image_height, image_width = np.array(sizes_hw, np.float64).T + _SLACK_PX
    leaving = (left + width > image_width) | (top + height > image_height) | (left < -_SLACK_PX) | (top < -_SLACK_PX)
    ordered = (left <= width) & (top <= height) & (width <= image_width) & (height <= image_height)
    count, total = int(leaving.sum()), len(leaving)
    if count > _SUSPECT_SHARE * total:
        if ordered.all():
            raise DataError(
                f"{where}: {count} of {total} boxes leave their image, and all would fit as corners: the boxes look "
                "like [x0, y0, x1, y1], but the layout wants [x, y, width, height]."
            )
        if total >= _FEWEST:
            raise DataError(
                f"{where}: {count} of {total} boxes leave their image; they must be [x, y, width, height] in pixels "
                "of the very images that are measured."
            )
    if total >= _FEWEST and max(left.max(), top.max(), width.max(), height.max()) <= 1:
        raise DataError(
            f"{where}: no number of {total} boxes is above 1: the boxes look like fractions of the image, but the "
            "layout wants [x, y, width, height] in pixels."
        )
