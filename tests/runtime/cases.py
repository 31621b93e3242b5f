"""Tokens of every kind, as a backend is given them, for the tests that compare backends."""

from __future__ import annotations

import numpy as np

from samlet.prompts import ABSENT_LABEL, Prompts

IMAGES = 2
HINT = np.random.default_rng(3).standard_normal((3, 256, 256)).astype(np.float32) * 4


def tokens(prompts):
    points_xy, labels = prompts.tokens()
    return points_xy.astype(np.float32), labels


CLICK = Prompts.points([[300, 200]])
BOX = Prompts.boxes([100, 150, 700, 600])
RAGGED = Prompts.stack(
    [CLICK, Prompts.boxes([10, 20, 500, 900], [[300, 400]], [0]), Prompts.points([[5, 5], [900, 9]])]
)
NOTHING = (np.zeros((3, 0, 2), np.float32), np.zeros((3, 0), np.int64))

# name → points_xy [P, T, 2], labels [P, T], mask_hint [P, 256, 256], image_index [P]
CASES = {
    "one click": (*tokens(CLICK), None, None),
    "one box": (*tokens(BOX), None, None),
    "ragged rows": (*tokens(RAGGED), None, None),
    "ragged rows, each of its own image": (*tokens(RAGGED), None, np.array([1, 0, 1])),
    "a hint for each": (*tokens(RAGGED), HINT, np.array([0, 1, 1])),
    "hints alone, no token": (*NOTHING, HINT, None),
    "a token that is absent": (np.zeros((1, 1, 2), np.float32), np.full((1, 1), ABSENT_LABEL), HINT[:1], None),
    "more than one run takes": (*tokens(Prompts.points(np.arange(20).reshape(10, 1, 2) * 48.0)), None, None),
    "no prompt": (np.zeros((0, 2, 2), np.float32), np.zeros((0, 2), np.int64), None, None),
}
