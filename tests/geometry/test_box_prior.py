"""Which proposal a click means, and the tokens that say so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from samlet.geometry.box_prior import BOXES, SCORES, box_of_click, with_box_prior
from samlet.prompts import ABSENT_LABEL, Prompts
from samlet.tokens import PromptTokens

THING, PART, ELSEWHERE = [100, 100, 300, 300], [180, 180, 220, 220], [600, 600, 900, 900]
FEATURES = {BOXES: np.float32([[THING, PART, ELSEWHERE]]), SCORES: np.float32([[0.9, 0.4, 0.8]])}
# Six boxes around (200, 200) whose centers are ever farther from it.
SHIFTED = np.array([THING] * 6) + 10 * np.arange(6)[:, None]


def tokens(prompts):
    points_xy, labels = prompts.tokens()
    return PromptTokens(points_xy.astype(np.float32), labels)


def completed(given, features=FEATURES):
    tokens = with_box_prior(features, given)
    return tokens.points_xy, tokens.labels


@pytest.mark.parametrize(
    ("point", "boxes", "scores", "expected"),
    [
        pytest.param([200, 200], [THING, PART], [0.4, 0.9], PART, id="the best of those around the click"),
        pytest.param(
            [120, 120], [THING, PART], [0.4, 0.9], THING, id="a box that is not around the click never counts"
        ),
        pytest.param([200, 200], [PART, THING], [0.5, 0.5], PART, id="of equals at equal distance the first"),
        pytest.param([230, 230], [SHIFTED[0], SHIFTED[3]], [0.5, 0.5], SHIFTED[3], id="of equals the nearest"),
        pytest.param(
            [200, 200], SHIFTED, [0.2, 0.3, 0.2, 0.2, 0.2, 0.9], SHIFTED[1], id="the sixth nearest is too far"
        ),
        pytest.param([200, 200], [THING], [0.1], THING, id="the lowest score that counts"),
        pytest.param([200, 200], [THING], [0.09], None, id="a low score"),
        pytest.param([100, 200], [THING], [0.9], None, id="on the border"),
        pytest.param([50, 50], [THING, PART], [0.9, 0.9], None, id="around nothing"),
        pytest.param([50, 50], np.zeros((0, 4)), [], None, id="no proposals"),
        pytest.param([0, 0], [[0, 0, 0, 0]], [0.9], None, id="a box without area"),
    ],
)
def test_the_box_a_click_means(point, boxes, scores, expected):
    box = box_of_click(np.array(point, float), np.array(boxes, float), np.array(scores, float))
    assert (None if box is None else box.tolist()) == (None if expected is None else list(expected))


def test_a_lone_click_is_completed_by_its_box():
    points_xy, labels = completed(tokens(Prompts.points([[[200, 200]], [[110, 290]], [[700, 650]]])))
    assert labels.tolist() == [[1, 2, 3]] * 3
    assert points_xy.dtype == np.float32
    assert points_xy[:, 0].tolist() == [[200, 200], [110, 290], [700, 650]]
    assert points_xy[:, 1:].reshape(3, 4).tolist() == [THING, THING, ELSEWHERE]


def test_a_click_on_nothing_gets_two_padding_tokens():
    points_xy, labels = completed(tokens(Prompts.points([[500, 500]])))
    assert labels.tolist() == [[1, -1, -1]]
    assert points_xy.tolist() == [[[500, 500], [0, 0], [0, 0]]]


@pytest.mark.parametrize(
    "prompts",
    [
        pytest.param(Prompts.points([[200, 200]], [0]), id="background"),
        pytest.param(Prompts.points([[200, 200], [210, 210]]), id="two clicks"),
        pytest.param(Prompts.points([[200, 200], [210, 210]], [1, 0]), id="a click and a correction"),
        pytest.param(Prompts.boxes(THING), id="a box"),
        pytest.param(Prompts.boxes(THING, [[200, 200]]), id="a box and a click"),
    ],
)
def test_any_other_prompt_stays_as_it_is(prompts):
    given = tokens(prompts)
    assert with_box_prior(FEATURES, given) is given


def test_without_proposals_nothing_changes():
    given = tokens(Prompts.points([[200, 200]]))
    assert with_box_prior({"image_embeddings": np.zeros(1)}, given) is given


def test_a_click_beside_a_mask_hint_stays_as_it_is():
    given = replace(tokens(Prompts.points([[200, 200]])), mask_hint=np.zeros((1, 256, 256), np.float32))
    assert with_box_prior(FEATURES, given) is given


def test_in_ragged_rows_only_lone_clicks_change():
    ragged = Prompts.stack([Prompts.points([[200, 200]]), Prompts.boxes(THING, [[1, 2], [3, 4]], [1, 0])])
    given = tokens(ragged)
    points_xy, labels = completed(given)
    assert labels.tolist() == [[1, 2, 3, ABSENT_LABEL], [1, 0, 2, 3]]
    assert points_xy[0, 1:3].ravel().tolist() == THING
    np.testing.assert_array_equal(points_xy[1], given.points_xy[1])
    assert given.labels[0].tolist() == [1, -1, ABSENT_LABEL, ABSENT_LABEL]  # the caller's arrays stay


def test_shorter_rows_grow_to_hold_a_box():
    clicks = Prompts.stack([Prompts.points([[200, 200]]), Prompts.points([[200, 200]], [0])])
    _, labels = completed(tokens(clicks))
    assert labels.tolist() == [[1, 2, 3], [0, -1, ABSENT_LABEL]]


def test_no_prompt_at_all():
    points_xy, labels = completed(PromptTokens(np.zeros((0, 2, 2), np.float32), np.zeros((0, 2), np.int64)))
    assert points_xy.shape == (0, 2, 2)
    assert labels.shape == (0, 2)
