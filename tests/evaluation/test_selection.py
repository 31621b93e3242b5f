"""What is measured: countable masks, repeatable draws, and boxes in the wrong format."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.fake import SIDE, annotation, sample

from samlet.errors import DataError, InputError
from samlet.evaluation.selection import box_in_image, hash_of, left_out, select_samples
from samlet.geometry.rle import encode

GOOD = annotation(10, 10, 30, 40, number=1)


@pytest.mark.parametrize(
    ("uncountable", "reason"),
    [
        (replace(GOOD, area_px=0.0), "area under 1 px"),
        (replace(GOOD, area_px=0.5), "area under 1 px"),
        (replace(GOOD, rle=encode(np.zeros((SIDE, SIDE), bool))), "mask without a pixel"),
        (replace(GOOD, box_xywh=(10.0, 10.0, 0.0, 30.0)), "box empty or outside the image"),
        (replace(GOOD, box_xywh=(300.0, 10.0, 20.0, 30.0)), "box empty or outside the image"),
        (replace(GOOD, box_xywh=(256.0, 10.0, 20.0, 30.0)), "box empty or outside the image"),
    ],
    ids=["area 0", "area below 1", "no pixel", "thin box", "box beside the image", "box at the far border"],
)
def test_masks_that_cannot_count_are_left_out_and_counted(uncountable, reason) -> None:
    counts = left_out([sample(uncountable, GOOD), sample(uncountable, name="fake_2")])
    assert counts.pop(reason) == 2
    assert list(counts.values()) == [0, 0, 0]
    [kept] = select_samples([sample(uncountable, GOOD)])
    assert kept.annotations == (GOOD,)
    with pytest.raises(DataError, match="None of the 1 images has a mask"):
        select_samples([sample(uncountable)])


def test_images_without_masks_are_left_out() -> None:
    assert [kept.name for kept in select_samples([sample(name="a_1"), sample(GOOD, name="b_1")])] == ["b_1"]


def test_nothing_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="None of the 0 images"):
        select_samples([])


def test_a_limit_is_spread_over_the_list() -> None:
    samples = [sample(GOOD, name=f"a_{index}") for index in range(10)]
    assert [kept.name for kept in select_samples(samples, limit=3)] == ["a_0", "a_3", "a_6"]
    assert select_samples(samples, limit=99) == samples
    assert select_samples(samples, limit=10) == samples


def test_masks_are_drawn_the_same_way_each_time() -> None:
    many = sample(*(annotation(i, i, i + 20, i + 20, number=i) for i in range(30)))
    [first], [second] = select_samples([many], max_masks_per_image=7), select_samples([many], max_masks_per_image=7)
    ids = [drawn.id for drawn in first.annotations]
    assert first == second
    assert len(ids) == 7
    assert ids == sorted(set(ids))
    assert ids != list(range(7))
    [other] = select_samples([replace(many, name="fake_2")], max_masks_per_image=7)
    assert [drawn.id for drawn in other.annotations] != ids
    assert select_samples([many], max_masks_per_image=30) == [many]


@pytest.mark.parametrize("option", ["limit", "max_masks_per_image"])
def test_a_limit_of_nothing_is_refused(option) -> None:
    with pytest.raises(InputError, match="it must be at least 1"):
        select_samples([sample(GOOD)], **{option: 0})


def corners_as_xywh(left: float, top: float, right: float, bottom: float):
    return replace(GOOD, box_xywh=(left, top, right, bottom))


def test_corner_boxes_are_recognized() -> None:
    boxes = [corners_as_xywh(10, 10, 30, 40), corners_as_xywh(100, 100, 200, 200), corners_as_xywh(5, 90, 250, 250)]
    with pytest.raises(DataError, match=r"2 of 3 boxes leave their image.*\[x0, y0, x1, y1\]"):
        select_samples([sample(*boxes)])


def test_a_box_that_hangs_over_the_border_is_no_alarm() -> None:
    hanging = [replace(GOOD, box_xywh=(200.0, 200.0, 100.0, 100.0)), GOOD]
    assert select_samples([sample(*hanging)])[0].annotations == tuple(hanging)


def test_a_box_is_cut_at_the_border() -> None:
    hanging = replace(GOOD, box_xywh=(-5.0, 200.0, 300.0, 100.5))
    np.testing.assert_array_equal(box_in_image(hanging, (SIDE, SIDE)), [0, 200, 256, 256])
    np.testing.assert_array_equal(box_in_image(GOOD, (SIDE, SIDE)), [10, 10, 30, 40])


def test_the_hash_tells_lists_apart() -> None:
    samples = [sample(GOOD, name="a_1"), sample(GOOD, name="b_1")]
    hashes = {
        hash_of(samples),
        hash_of(samples[:1]),
        hash_of(samples[::-1]),
        hash_of([sample(replace(GOOD, id=2), name="a_1"), samples[1]]),
        hash_of([sample(replace(GOOD, area_px=7.0), name="a_1"), samples[1]]),
    }
    assert len(hashes) == 5
    assert hash_of(samples) == hash_of(list(samples))
