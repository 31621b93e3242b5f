"""What a click may change of an answer: the part it lies in. So a click mends what it points at and nothing else.

Source: the progressive merge of FocalClick (arXiv 2204.02574), here on logits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samlet.opencv import cv2

REACH_PX = 2  # a click counts as inside a part that it misses by so little


def corrected(
    last: NDArray[np.float32], answer: NDArray[np.float32], click_xy: tuple[float, float]
) -> NDArray[np.float32]:
    """Logits [H, W] of an answer to one more click (x, y), but those of `last` where it changes another part.

    A part is what is 8-connected of the pixels that become the mask or stop being it. If the click is in none, the
    whole answer counts: its click asked for something that this rule does not know.
    """
    count, parts = cv2.connectedComponents(((last > 0) != (answer > 0)).view(np.uint8), connectivity=8)
    height, width = parts.shape
    x, y = min(max(int(click_xy[0]), 0), width - 1), min(max(int(click_xy[1]), 0), height - 1)
    around = parts[max(y - REACH_PX, 0) : y + REACH_PX + 1, max(x - REACH_PX, 0) : x + REACH_PX + 1]
    meant = np.zeros(count, bool)
    meant[around] = True
    meant[0] = False
    if not meant.any():
        return answer
    meant[0] = True  # what does not change is the new answer's
    return np.where(meant[parts], answer, last)
