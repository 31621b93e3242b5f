"""The RLE parser against pycocotools, on masks of every density and shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from samlet.data.rle_check import checked_rle, run_lengths
from samlet.errors import DataError

masks = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 1))
)


@given(masks)
def test_run_lengths_rebuild_the_mask(mask: np.ndarray) -> None:
    counts = coco_mask.encode(np.asfortranarray(mask))["counts"]
    runs = run_lengths(counts)
    rebuilt = np.repeat(np.arange(len(runs)) % 2, runs).reshape(mask.shape[1], mask.shape[0]).T
    np.testing.assert_array_equal(rebuilt, mask)


def test_long_runs_and_negative_differences() -> None:
    mask = np.zeros((700, 900), np.uint8)
    mask[5:690, 10:880] = 1
    mask[100, 100] = 0
    rle = coco_mask.encode(np.asfortranarray(mask))
    text = {"size": [700, 900], "counts": rle["counts"].decode()}
    assert checked_rle(text, (700, 900), "here") == ({"size": [700, 900], "counts": rle["counts"]}, int(mask.sum()))


@pytest.mark.parametrize("cut", [1, 2, 3, 5])
def test_a_string_cut_anywhere_is_refused(cut: int) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[3:50, 20:40] = 1
    counts = coco_mask.encode(np.asfortranarray(mask))["counts"].decode()
    with pytest.raises(DataError, match="^here: "):
        checked_rle({"size": [64, 64], "counts": counts[:-cut]}, (64, 64), "here")
