"""What a lone click means, read off the proposals of a model that has a region proposal network.

A click fits a part, a thing and a group of things alike. EdgeSAM's paper lets the data decide: a small detector,
trained on boxes of the wanted kind, proposes regions, and the click's region is given to the decoder beside the click.
Arrays and tokens only; which features hold proposals is the backend's affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.prompts import ABSENT_LABEL, PointLabel
from samlet.tokens import PromptTokens

BOXES, SCORES = "proposal_boxes_xyxy", "proposal_scores"
"""Features [N, K, 4] in prompt-canvas pixels and [N, K] in 0..1; a backend without proposals has neither."""

MIN_SCORE = 0.1
NEIGHBOURS = 5
PROMPT_TOKENS = 3  # the click and two corners


def box_of_click(
    point_xy: NDArray[np.floating], boxes_xyxy: NDArray[np.floating], scores: NDArray[np.floating]
) -> NDArray[np.floating] | None:
    """The proposal [4] that a click [2] means, of boxes [K, 4] with scores [K]; None if no box is around it.

    Of the boxes with a score of at least `MIN_SCORE` that contain the point in their interior, the `NEIGHBOURS` whose
    centers are nearest count, and of those the best. Source: EdgeSAM `eval_mIoU.py`, which adds boxes of equal score
    up; we take the nearest of them.
    """
    inside = (boxes_xyxy[:, :2] < point_xy).all(axis=1) & (point_xy < boxes_xyxy[:, 2:]).all(axis=1)
    candidates = np.flatnonzero(inside & (scores >= MIN_SCORE))
    if not candidates.size:
        return None
    centers = (boxes_xyxy[candidates, :2] + boxes_xyxy[candidates, 2:]) / 2
    distances = np.hypot(*(centers - point_xy).T)
    nearest = candidates[np.argsort(distances, kind="stable")[:NEIGHBOURS]]
    return boxes_xyxy[nearest[scores[nearest].argmax()]]


def with_box_prior(features: Mapping[str, NDArray[Any]], tokens: PromptTokens) -> PromptTokens:
    """The same tokens, the rows of one foreground click completed by a box.

    Where no proposal is around the click, two padding tokens stand for the box, as in EdgeSAM. Other rows, prompts with
    a mask hint, and all rows if the features (of one image) hold no proposals, stay as they are.
    """
    lone = ((tokens.labels >= 0).sum(axis=1) == 1) & (tokens.labels[:, :1] == PointLabel.FOREGROUND).any(axis=1)
    if BOXES not in features or tokens.mask_hint is not None or not lone.any():
        return tokens
    missing = max(0, PROMPT_TOKENS - tokens.labels.shape[1])
    points_xy = np.pad(tokens.points_xy, ((0, 0), (0, missing), (0, 0)))
    labels = np.pad(tokens.labels, ((0, 0), (0, missing)), constant_values=ABSENT_LABEL)
    for row in np.flatnonzero(lone):
        box = box_of_click(points_xy[row, 0], features[BOXES][0], features[SCORES][0])
        points_xy[row, 1:3] = 0 if box is None else box.reshape(2, 2)
        labels[row, 1:3] = PointLabel.PADDING if box is None else (PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT)
        labels[row, 3:] = ABSENT_LABEL
    return replace(tokens, points_xy=points_xy, labels=labels)
