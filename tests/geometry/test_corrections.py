import numpy as np
import pytest

from samlet.geometry.corrections import REACH_PX, corrected


def logits(*boxes, value=5.0):
    """Inside the boxes (left, top, right, bottom) `value`, outside its opposite."""
    made = np.full((40, 60), -value, np.float32)
    for left, top, right, bottom in boxes:
        made[top:bottom, left:right] = value
    return made


OBJECT, PART, ELSEWHERE = (10, 10, 30, 30), (30, 15, 40, 25), (48, 5, 55, 30)
LAST = logits(OBJECT)


def test_a_click_brings_the_part_it_lies_in_and_no_other():
    answer = logits(OBJECT, PART, ELSEWHERE, value=3)
    mask = corrected(LAST, answer, (35, 20)) > 0
    np.testing.assert_array_equal(mask, logits(OBJECT, PART) > 0)


def test_a_click_takes_away_the_part_it_lies_in_and_no_other():
    last = logits(OBJECT, PART, ELSEWHERE)
    mask = corrected(last, logits(OBJECT, value=3), (50, 20)) > 0
    np.testing.assert_array_equal(mask, logits(OBJECT, PART) > 0)


def test_what_does_not_change_has_the_new_logits():
    result = corrected(LAST, logits(OBJECT, PART, ELSEWHERE, value=3), (35, 20))
    assert result[20, 20] == 3
    assert result[0, 0] == -3
    assert result[20, 50] == -5


@pytest.mark.parametrize("far", range(REACH_PX + 2))
def test_a_part_may_be_missed_by_little(far):
    answer = logits(OBJECT, PART, ELSEWHERE)
    mask = corrected(LAST, answer, (PART[2] - 1 + far, 20)) > 0
    wanted = logits(OBJECT, PART) if far <= REACH_PX else answer
    np.testing.assert_array_equal(mask, wanted > 0)


def test_where_no_part_is_meant_the_whole_answer_counts():
    answer = logits(PART, ELSEWHERE)
    assert corrected(LAST, answer, (2, 36)) is answer


def test_parts_that_touch_by_a_corner_are_one():
    answer = logits(OBJECT, (32, 2, 36, 6), (36, 6, 40, 9))
    assert (corrected(LAST, answer, (33, 4)) > 0)[7, 38]


@pytest.mark.parametrize("click_xy", [(-3, -8), (1e6, 1e6), (59.9, 39.9)])
def test_a_click_beside_the_picture_is_at_its_border(click_xy):
    answer = logits(OBJECT, (0, 0, 3, 3), (57, 37, 60, 40))
    assert np.count_nonzero(corrected(LAST, answer, click_xy) > 0) == 400 + 9


def test_neither_array_is_written_to():
    last, answer = LAST.copy(), logits(OBJECT, PART, ELSEWHERE)
    before = answer.copy()
    corrected(last, answer, (35, 20))
    np.testing.assert_array_equal(last, LAST)
    np.testing.assert_array_equal(answer, before)


@pytest.mark.parametrize("seed", range(20))
def test_each_pixel_is_of_one_of_the_two(seed):
    random = np.random.default_rng(seed)
    last, answer = random.normal(size=(2, 24, 31)).astype(np.float32)
    result = corrected(last, answer, random.uniform(0, 24, 2))
    assert ((result == last) | (result == answer)).all()
    same = (last > 0) == (answer > 0)
    np.testing.assert_array_equal(result[same], answer[same])
