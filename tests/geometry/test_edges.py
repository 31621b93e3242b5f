from __future__ import annotations

import numpy as np
import pytest

from samlet.geometry.edges import GRID_SIDE, Edges, LogitGrid
from samlet.geometry.frames import ImageFrame
from samlet.geometry.patches import Patch
from samlet.geometry.windows import Window

PHOTO = np.full((200, 300, 3), 60, np.uint8)
PHOTO[:, 150:] = 180


def half(grid_hw, border):
    """Logits that rise from left to right and are 0 at this share of the width."""
    across = (np.arange(grid_hw[1]) + 0.5) / grid_hw[1]
    return np.tile((40 * (across - border)).astype(np.float32), (grid_hw[0], 1))


@pytest.mark.parametrize(
    ("size_hw", "expected"),
    [
        ((100, 60), LogitGrid(1.0, (100, 60))),
        ((2 * GRID_SIDE, GRID_SIDE), LogitGrid(2.0, (GRID_SIDE, GRID_SIDE // 2))),
        ((1, 4 * GRID_SIDE), LogitGrid(4.0, (1, GRID_SIDE))),
    ],
)
def test_a_grid_is_as_fine_as_the_window_up_to_a_bound(size_hw, expected):
    assert LogitGrid.over(size_hw) == expected


def test_the_mask_ends_where_the_photo_has_an_edge():
    window = Window(50, 20, 250, 180)
    logits = half(LogitGrid.over(window.size_hw).size_hw, 0.48)
    mask = np.concatenate(list(Edges(0.03, 1e-4).bands(logits, PHOTO, window)))
    assert mask.shape == (160, 200)
    assert (mask.argmax(axis=1) == 100).all()
    plain = np.concatenate(list(Edges(0.0, 1e-4).bands(logits, PHOTO, window)))
    assert (plain.argmax(axis=1) == 96).all()


def test_a_small_object_gets_a_small_radius():
    window = Window(0, 0, 300, 200)
    logits = np.full((200, 300), -4, np.float32)
    logits[98:101, 146:149] = 4  # near the edge: a wide filter would wipe it out
    mask = np.concatenate(list(Edges(0.05, 1e-4).bands(logits, PHOTO, window)))
    assert mask.sum() == 9


def test_around_a_patch_is_what_the_filter_sees_within_the_photo():
    frame = ImageFrame((200, 300), 1024)
    low_res = np.full((256, 256), -9, np.float32)
    low_res[100:110, 90:100] = 3
    patch = Patch.cut(low_res, frame, -1.0)
    assert patch.box_xyxy is not None
    left, top, right, bottom = frame.reach_of(patch.box_xyxy)
    assert Edges(0.01, 1e-4).around(patch).xyxy == (left - 9, top - 9, right + 9, bottom + 9)
    assert Edges(0.5, 1e-4).around(patch).xyxy == (0, 0, 300, 200)
    assert Edges(0.01, 1e-4).around(Patch.cut(np.full_like(low_res, -9), frame, -1.0)).size_hw == (1, 1)
