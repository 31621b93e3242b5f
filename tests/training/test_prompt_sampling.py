from __future__ import annotations

import numpy as np
import pytest

from samlet.prompts import PointLabel
from samlet.training.prompt_sampling import MAX_CLICKS, draw_prompt
from samlet.training.views import generator


def prompts_for(mask, count=200):
    return [draw_prompt(mask, generator(0, i)) for i in range(count)]


@pytest.mark.parametrize(
    "box",
    [(10, 20, 30, 60), (0, 0, 64, 64), (5, 5, 6, 6), (63, 0, 64, 64)],  # usual, full, one pixel, a line at the edge
)
def test_prompts_of_a_mask_are_valid_and_on_it(box):
    x0, y0, x1, y1 = box
    mask = np.zeros((64, 64), bool)
    mask[y0:y1, x0:x1] = True
    for prompt in prompts_for(mask):
        prompt.check(mask.shape)
        clicks = prompt.points_xy[prompt.labels == PointLabel.FOREGROUND].astype(int)
        assert mask[clicks[:, 1], clicks[:, 0]].all()


def test_boxes_and_every_number_of_clicks_are_drawn():
    mask = np.ones((32, 32), bool)
    kinds = [tuple(prompt.labels[0]) for prompt in prompts_for(mask)]
    assert {len(kind) for kind in kinds if kind[0] == 1} == set(range(1, MAX_CLICKS + 1))
    boxes = sum(kind[0] == PointLabel.BOX_TOP_LEFT for kind in kinds)
    assert 60 < boxes < 140


def test_boxes_are_loose_but_not_far_off():
    mask = np.zeros((100, 100), bool)
    mask[20:60, 30:80] = True
    boxes = np.array(
        [p.points_xy[0].ravel() for p in prompts_for(mask) if len(p.labels[0]) == 2 and p.labels[0, 0] == 2]
    )
    offsets = np.abs(boxes - [30, 20, 80, 60])
    assert 0 < offsets.max() <= 0.2 * 50
    assert offsets.mean() < 5
