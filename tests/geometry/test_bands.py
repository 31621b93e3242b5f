from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from samlet.geometry import bands
from samlet.geometry.bands import LabelRows, MaskRows, bands_of, mask_bands
from samlet.geometry.overlaps import label_map, visible_parts
from samlet.geometry.rle import encode, from_counts


@pytest.fixture(autouse=True)
def small_bands(monkeypatch):
    monkeypatch.setattr(bands, "BAND_PX", 20)


masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12))
stacks = arrays(bool, array_shapes(min_dims=3, max_dims=3, max_side=8))


@given(masks, st.data())
def test_any_rows_of_a_mask(mask, data):
    top = data.draw(st.integers(0, len(mask) - 1))
    bottom = data.draw(st.integers(top + 1, len(mask)))
    rows = MaskRows.of(encode(mask))
    left, _, right, _ = rows.box_xyxy
    np.testing.assert_array_equal(rows.rows(top, bottom), mask[top:bottom, left:right])
    assert mask.sum() == mask[:, left:right].sum()
    np.testing.assert_array_equal(np.concatenate(list(mask_bands(encode(mask)))), mask)


@given(stacks)
def test_labels_are_those_of_the_whole_map(stack):
    codes = [encode(mask) for mask in stack]
    whole = label_map(codes, stack.shape[1:])
    np.testing.assert_array_equal(np.concatenate(list(LabelRows(codes, stack.shape[1:]).bands())), whole)
    for number, part in enumerate(visible_parts(codes), start=1):
        assert part == encode(whole == number)


def test_no_masks():
    assert visible_parts([]) == []
    assert not np.concatenate(list(LabelRows([], (7, 9)).bands())).any()


def test_the_box_and_what_is_in_it():
    mask = np.zeros((9, 11), bool)
    mask[2:5, 3:10] = True
    rows = MaskRows.of(encode(mask))
    assert rows.box_xyxy == (3, 2, 10, 5)
    assert rows.window().all()
    assert MaskRows.of(encode(np.zeros((9, 11), bool))).window().size == 0


def test_runs_of_no_length_are_read():
    assert MaskRows.of(from_counts([2, 0, 1, 2, 0, 1], (3, 2))).rows(0, 3).sum() == 3


def test_bands_cover_an_image_once():
    assert list(bands_of((5, 9))) == [(0, 2), (2, 4), (4, 5)]
    assert list(bands_of((2, 1000))) == [(0, 1), (1, 2)]
