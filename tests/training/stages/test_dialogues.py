"""A user in training: where the next click goes, and what of an answer is shown."""

from __future__ import annotations

import numpy as np
import torch

from samlet.evaluation.protocols.clicks import next_click
from samlet.geometry.corrections import corrected
from samlet.prompts import ABSENT_LABEL, PointLabel
from samlet.training.stages.dialogues import click_in_dialogue, corrected_answers

SIDE, CANVAS = 64, 1024
CELL = CANVAS / SIDE


def masks(*boxes):
    """bool [P, SIDE, SIDE]: a rectangle x0, y0, x1, y1 each."""
    made = torch.zeros(len(boxes), SIDE, SIDE, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(made, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    return made


def click(shown, wanted, draw, valid=None):
    valid = torch.ones_like(wanted) if valid is None else valid
    return click_in_dialogue(shown, wanted, valid, torch.full((len(wanted),), draw), CANVAS)


def test_four_in_five_clicks_are_where_the_larger_error_is_deepest():
    shown, wanted = masks((4, 4, 10, 30), (2, 2, 40, 40)), masks((4, 4, 40, 30), (2, 2, 20, 40))
    points_xy, labels = click(shown, wanted, 0.2)
    assert labels[:, 0].tolist() == [PointLabel.FOREGROUND, PointLabel.BACKGROUND]
    for row in range(2):
        (x, y), label = next_click(wanted[row].numpy(), shown[row].numpy())
        assert points_xy[row, 0].tolist() == [(x + 0.5) * CELL - 0.5, (y + 0.5) * CELL - 0.5]
        assert labels[row, 0] == label


def test_the_others_are_anywhere_on_an_error():
    shown, wanted = masks((0, 0, 0, 0)), masks((10, 10, 40, 40))
    first, last = (click(shown, wanted, draw)[0][0, 0].tolist() for draw in (0.0, 0.1999))
    assert first == [10.5 * CELL - 0.5] * 2
    assert last[1] > 38 * CELL  # the last row of the error


def test_a_mask_that_is_right_gets_no_click_and_padding_is_never_clicked():
    wanted = masks((10, 10, 30, 30))
    _, labels = click(wanted, wanted, 0.9)
    assert labels.tolist() == [[ABSENT_LABEL]]
    valid = torch.ones_like(wanted)
    valid[:, 20:] = False
    points_xy, _ = click(masks((0, 0, 0, 0)), wanted, 0.9, valid)
    assert points_xy[0, 0, 1] < 20 * CELL


def test_answers_change_where_their_click_points_and_nowhere_else():
    last = torch.where(masks((4, 4, 12, 12)), 3.0, -3.0)
    answers = torch.where(masks((4, 4, 20, 12)) | masks((40, 40, 60, 60)), 5.0, -5.0)
    point = torch.tensor([[16.5 * CELL, 8.5 * CELL]])
    shown = corrected_answers(last, answers, point, torch.tensor([1]), CANVAS)
    assert torch.equal(shown[0] > 0, masks((4, 4, 20, 12))[0])
    assert np.array_equal(shown[0].numpy(), corrected(last[0].numpy(), answers[0].numpy(), (17, 9)))
    kept = corrected_answers(last, answers, point, torch.tensor([ABSENT_LABEL]), CANVAS)
    assert torch.equal(kept, last)
