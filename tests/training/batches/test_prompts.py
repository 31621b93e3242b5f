from __future__ import annotations

import numpy as np
import pytest
import torch

from samlet.prompts import ABSENT_LABEL, PointLabel
from samlet.training.batches.prompts import FEWEST_WRONG, MAX_CLICKS, click_on_errors, draw_prompt
from samlet.training.batches.views import generator


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


def test_no_jitter_gives_the_box_itself_and_one_central_click_the_center():
    mask = np.zeros((40, 40), bool)
    mask[10:21, 5:30] = True
    box = draw_prompt(mask, generator(0), 1.0, box_jitter=0.0)
    assert box.points_xy[0].tolist() == [[5, 10], [30, 21]]
    click = draw_prompt(mask, generator(0), 0.0, max_clicks=1, center_share=1.0)
    assert click.points_xy[0, 0, 1] == 15


def block(x0, y0, x1, y1):
    mask = torch.zeros(256, 256, dtype=torch.bool)
    mask[y0:y1, x0:x1] = True
    return mask


NOTHING, EVERYWHERE = block(0, 0, 0, 0), block(0, 0, 256, 256)


def clicked(shown, wanted, valid=EVERYWHERE, draws=(0.0, 0.3, 0.999)):
    """The cells (x, y) and labels for one pair of masks and several draws."""
    count = len(draws)
    stack = [mask.expand(count, -1, -1) for mask in (shown, wanted, valid)]
    points_xy, labels = click_on_errors(*stack, torch.tensor(draws))
    assert points_xy.shape == (count, 1, 2)
    assert labels.shape == (count, 1)
    return ((points_xy[:, 0] + 0.5) / 4).tolist(), labels[:, 0].tolist()


def test_a_missing_part_gets_foreground_clicks_on_it_first_to_last():
    cells, labels = clicked(block(0, 0, 20, 10), block(0, 0, 24, 10))
    assert labels == [PointLabel.FOREGROUND] * 3
    assert cells == [[20.5, 0.5], [20.5, 3.5], [23.5, 9.5]]  # the 1st, 13th and last of 40 wrong cells, row by row


def test_a_surplus_part_gets_background_clicks():
    cells, labels = clicked(block(0, 0, 256, 256), block(0, 0, 256, 250))
    assert labels == [PointLabel.BACKGROUND] * 3
    assert all(y > 250 for _, y in cells)


@pytest.mark.parametrize(
    ("shown", "wanted", "valid"),
    [
        (NOTHING, NOTHING, EVERYWHERE),
        (EVERYWHERE, EVERYWHERE, EVERYWHERE),
        (NOTHING, block(0, 0, FEWEST_WRONG - 1, 1), EVERYWHERE),  # too few
        (NOTHING, block(0, 100, 50, 200), block(0, 0, 256, 90)),  # wrong only in the padding
    ],
)
def test_nothing_to_correct_gives_a_token_that_does_not_exist(shown, wanted, valid):
    cells, labels = clicked(shown, wanted, valid)
    assert labels == [ABSENT_LABEL] * 3
    assert np.isfinite(cells).all()
