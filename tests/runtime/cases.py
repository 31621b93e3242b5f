"""Tokens of every kind, as a backend is given them, for the tests that compare backends."""

from __future__ import annotations

import numpy as np

from samlet.prompts import ABSENT_LABEL, Prompts
from samlet.tokens import PromptTokens

IMAGES = 2
HINT = np.random.default_rng(3).standard_normal((3, 256, 256)).astype(np.float32) * 4


def tokens(prompts, mask_hint=None, image_index=None):
    points_xy, labels = prompts.tokens()
    return PromptTokens(points_xy.astype(np.float32), labels, mask_hint, image_index)


CLICK = Prompts.points([[300, 200]])
BOX = Prompts.boxes([100, 150, 700, 600])
RAGGED = Prompts.stack(
    [CLICK, Prompts.boxes([10, 20, 500, 900], [[300, 400]], [0]), Prompts.points([[5, 5], [900, 9]])]
)
CASES = {
    "one click": tokens(CLICK),
    "one box": tokens(BOX),
    "ragged rows": tokens(RAGGED),
    "ragged rows, each of its own image": tokens(RAGGED, None, np.array([1, 0, 1])),
    "a hint for each": tokens(RAGGED, HINT, np.array([0, 1, 1])),
    "hints alone, no token": PromptTokens(np.zeros((3, 0, 2), np.float32), np.zeros((3, 0), np.int64), HINT),
    "a token that is absent": PromptTokens(np.zeros((1, 1, 2), np.float32), np.full((1, 1), ABSENT_LABEL), HINT[:1]),
    "more than one run takes": tokens(Prompts.points(np.arange(20).reshape(10, 1, 2) * 48.0)),
    "no prompt": PromptTokens(np.zeros((0, 2, 2), np.float32), np.zeros((0, 2), np.int64)),
}
