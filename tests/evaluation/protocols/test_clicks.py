"""The simulated clicks: RITM's rule against a plain restatement, EdgeSAM's center against the official numbers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from samlet.evaluation.protocols.clicks import mask_center, next_click
from samlet.prompts import PointLabel

FOREGROUND, BACKGROUND = PointLabel.FOREGROUND, PointLabel.BACKGROUND
Y, X = np.mgrid[:128, :128]
EMPTY = np.zeros((12, 12), bool)


def block(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = EMPTY.copy()
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(
    ("truth", "predicted", "clicked", "expected"),
    [
        # first click: the middle of the truth; of four equally deep pixels the first in reading order
        (block(2, 3, 5, 6), EMPTY, (), ((3, 4), FOREGROUND)),
        (block(2, 3, 6, 7), EMPTY, (), ((3, 4), FOREGROUND)),
        # the image border is outside: a block in the corner has its depth in its own middle
        (block(0, 0, 3, 3), EMPTY, (), ((1, 1), FOREGROUND)),
        (~EMPTY, EMPTY, (), ((5, 5), FOREGROUND)),
        # only surplus
        (EMPTY, block(4, 4, 7, 7), (), ((5, 5), BACKGROUND)),
        # equally deep errors on both sides: background wins
        (block(0, 0, 3, 3), block(6, 6, 9, 9), (), ((7, 7), BACKGROUND)),
        # deeper surplus, deeper miss
        (block(0, 0, 3, 3), block(4, 4, 9, 9), (), ((6, 6), BACKGROUND)),
        (block(0, 0, 5, 5), block(6, 6, 9, 9), (), ((2, 2), FOREGROUND)),
        # depth counts, not area: a long line loses against a small block
        (block(0, 0, 12, 1), block(4, 4, 7, 7), (), ((5, 5), BACKGROUND)),
        # a perfect and an empty mask: a background click at the origin
        (block(2, 2, 5, 5), block(2, 2, 5, 5), (), ((0, 0), BACKGROUND)),
        (EMPTY, EMPTY, (), ((0, 0), BACKGROUND)),
        # a clicked pixel is passed over, the next deepest is taken
        (block(2, 3, 5, 6), EMPTY, ((3, 4),), ((2, 3), FOREGROUND)),
        (block(2, 3, 6, 7), EMPTY, ((3, 4),), ((4, 4), FOREGROUND)),
        # the only wrong pixel was clicked already
        (block(5, 5, 6, 6), EMPTY, ((5, 5),), ((0, 0), BACKGROUND)),
        # the miss is spoilt by clicks, so the surplus wins
        (block(5, 5, 6, 6), block(8, 8, 9, 9), ((8, 8),), ((5, 5), FOREGROUND)),
    ],
)
def test_next_click(truth, predicted, clicked, expected) -> None:
    assert next_click(truth, predicted, clicked) == expected


def restated_click(truth, predicted, clicked):
    """RITM's rule on whole padded arrays, without any shortcut."""
    depths = []
    for error in (truth & ~predicted, ~truth & predicted):
        padded = np.pad(error, 1).astype(np.uint8)
        depth = cv2.distanceTransform(padded, cv2.DIST_L2, 0)[1:-1, 1:-1]
        for x, y in clicked:
            depth[y, x] = 0
        depths.append(depth)
    missing, surplus = depths
    positive = missing.max() > surplus.max()
    row, column = np.argwhere((missing if positive else surplus) == max(missing.max(), surplus.max()))[0]
    return (int(column), int(row)), FOREGROUND if positive else BACKGROUND


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
        lambda shape: st.tuples(
            arrays(bool, shape),
            arrays(bool, shape),
            st.lists(st.tuples(st.integers(0, shape[1] - 1), st.integers(0, shape[0] - 1)), max_size=4),
        )
    )
)
def test_next_click_is_the_rule_on_the_whole_image(case) -> None:
    assert next_click(*case) == restated_click(*case)


def test_large_shapes_agree_with_the_rule_too() -> None:
    ring = ((Y - 64) ** 2 + (X - 64) ** 2 > 900) & ((Y - 64) ** 2 + (X - 64) ** 2 < 2500)
    predicted = np.roll(ring, 9, axis=1)
    assert next_click(ring, predicted) == restated_click(ring, predicted, ())
    assert next_click(ring, np.zeros_like(ring)) == ((43, 30), FOREGROUND)  # the fixture's exact transform


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ((Y - 40) ** 2 + (X - 70) ** 2 < 400, (70, 40)),
        ((Y > 20) & (Y < 60) & (X > 10) & (X < 120), (31, 40)),
        (((Y - 64) ** 2 + (X - 64) ** 2 > 900) & ((Y - 64) ** 2 + (X - 64) ** 2 < 2500), (64, 24)),
        ((Y < 30) & (X > 90), (106, 14)),
        (np.eye(128, dtype=bool) & (X == 5), (5, 5)),  # one pixel
    ],
    ids=["disc", "box", "ring", "corner", "pixel"],
)
def test_mask_center_is_the_official_one(mask, expected) -> None:
    """The first four are the official code's, from the parity fixture `mask_center`."""
    assert mask_center(mask) == expected


@given(arrays(bool, (9, 11)).filter(lambda mask: mask.any()))
def test_the_center_lies_in_the_mask(mask) -> None:
    x, y = mask_center(mask)
    assert mask[y, x]
