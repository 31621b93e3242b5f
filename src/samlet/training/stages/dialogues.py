"""Later rounds of prompts as a user of `segment` lives them: clicks on what is worst, answers corrected where clicked.

A click of `click_on_errors` lies anywhere on an error; people, and the protocol of evaluation, click where an error is
deepest.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from samlet.evaluation.protocols.clicks import next_click
from samlet.geometry.corrections import corrected
from samlet.prompts import ABSENT_LABEL
from samlet.training.batches.prompts import click_on_errors

ANY_ERROR_SHARE = 0.2  # of the clicks lie anywhere on an error: people do not measure


def click_in_dialogue(
    shown: Tensor, wanted: Tensor, valid: Tensor, draws: Tensor, prompt_canvas: int = 1024
) -> tuple[Tensor, Tensor]:
    """`click_on_errors`, but four in five clicks are where the larger error is deepest.

    Source: the clicks of RITM's evaluation (arXiv 2102.06583).
    """
    points_xy, labels = click_on_errors(shown, wanted, valid, draws / ANY_ERROR_SHARE, prompt_canvas)
    cell = prompt_canvas / shown.shape[-1]
    for row in torch.nonzero((draws >= ANY_ERROR_SHARE) & (labels[:, 0] != ABSENT_LABEL))[:, 0].tolist():
        ours, truth = (mask[row] & valid[row] for mask in (shown, wanted))
        click_xy, label = next_click(truth.cpu().numpy(), ours.cpu().numpy())
        points_xy[row, 0] = points_xy.new_tensor(click_xy).add(0.5).mul(cell).sub(0.5)
        labels[row, 0] = int(label)
    return points_xy, labels


def corrected_answers(
    last: Tensor, answers: Tensor, points_xy: Tensor, labels: Tensor, prompt_canvas: int = 1024
) -> Tensor:
    """Logits [P, S, S] as `segment` shows them: of `last` where the latest click, points_xy [P, 2], does not point.

    Prompts whose latest click is absent, in labels [P], keep their last answer.
    """
    cell = prompt_canvas / answers.shape[-1]
    rows = []
    for before, after, point, label in zip(last, answers, points_xy, labels, strict=True):
        if label == ABSENT_LABEL:
            rows.append(before)
            continue
        x, y = ((point + 0.5) / cell).tolist()
        merged = corrected(before.cpu().numpy(), after.cpu().numpy(), (x, y))
        rows.append(torch.from_numpy(np.ascontiguousarray(merged)).to(answers.device))
    return torch.stack(rows)
