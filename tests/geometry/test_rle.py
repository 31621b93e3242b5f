import hashlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests import filler, official

from samlet.errors import DataError
from samlet.geometry import rle

AMG = official.numbers("amg")["rle"]
masks = arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 20)))


@pytest.fixture
def official_masks():
    noise = filler.array("mask_input", 1, 256, 256)[0]
    smooth = cv2.boxFilter(noise, cv2.CV_32F, (17, 17), borderType=cv2.BORDER_CONSTANT)
    mask = (smooth > 0.02)[:96, :128]
    return [mask, ~mask, np.zeros_like(mask), np.ones_like(mask)]


def test_codes_are_the_official_ones(official_masks):
    for mask, expected, checksum in zip(official_masks, AMG["codes"], AMG["coco_counts_md5_16"], strict=True):
        code = rle.encode(mask)
        counts = rle.to_counts(code)
        assert code["size"] == expected["size"]
        assert hashlib.md5(code["counts"]).hexdigest()[:16] == checksum
        assert counts[: len(expected["counts_head"])] == expected["counts_head"]
        assert counts[-len(expected["counts_tail"]) :] == expected["counts_tail"]
        assert len(counts) == expected["n_counts"]
        assert rle.area(code) == expected["area"]


@given(st.lists(arrays(bool, (7, 9)), max_size=3), st.lists(arrays(bool, (7, 9)), max_size=3))
def test_iou_of_codes_is_iou_of_masks(first, second):
    expected = [[(a & b).sum() / max((a | b).sum(), 1) for b in second] for a in first]
    matrix = rle.iou_matrix([rle.encode(mask) for mask in first], [rle.encode(mask) for mask in second])
    np.testing.assert_allclose(matrix, np.reshape(expected, (len(first), len(second))))


@given(masks)
def test_every_form_returns_to_the_mask(mask):
    code = rle.encode(mask)
    np.testing.assert_array_equal(rle.decode(code), mask)
    assert rle.decode(code).dtype == bool
    assert rle.from_counts(rle.to_counts(code), mask.shape) == code
    assert rle.from_json({"size": list(mask.shape), "counts": code["counts"].decode()}) == code
    assert rle.from_json({"size": list(mask.shape), "counts": rle.to_counts(code)}) == code


@given(masks)
def test_area_and_box_are_the_array_s(mask):
    code = rle.encode(mask)
    assert rle.area(code) == mask.sum()
    rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
    expected = (0, 0, 0, 0)
    if rows.size:
        expected = (columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)
    assert rle.to_box(code) == expected


def test_long_runs_take_several_characters():
    mask = np.zeros((3000, 2000), bool)
    mask[:, 1500:1700] = True
    assert rle.to_counts(rle.encode(mask)) == [4_500_000, 600_000, 900_000]


def test_encode_takes_a_view():
    mask = np.random.default_rng(0).random((40, 60)) > 0.5
    np.testing.assert_array_equal(rle.decode(rle.encode(mask[::2, ::-3])), mask[::2, ::-3])


BROKEN = {
    "no size": {"counts": [4]},
    "no counts": {"size": [2, 2]},
    "polygon": [[1, 2, 3, 4, 5, 6]],
    "nothing": None,
    "one side": {"size": [4], "counts": [4]},
    "too short": {"size": [2, 2], "counts": [1, 2]},
    "too long": {"size": [2, 2], "counts": [1, 2, 3]},
    "negative run": {"size": [2, 2], "counts": [5, -1]},
    "wraps around": {"size": [2, 2], "counts": [2**62, 2**62, 2**62, 2**62, 4]},
    "beyond 64 bits": {"size": [2, 2], "counts": [2**70]},
    "words": {"size": [2, 2], "counts": ["one"]},
    "nested": {"size": [2, 2], "counts": [[1, 3]]},
    "a number": {"size": [2, 2], "counts": 4},
    "negative size": {"size": [-2, -2], "counts": [4]},
    "empty text": {"size": [2, 2], "counts": ""},
    "foreign characters": {"size": [2, 2], "counts": "é~"},
    "breaks off": {"size": [100, 100], "counts": "P"},
    "text of another size": {"size": [2, 3], "counts": "4"},
    "absurd number": {"size": [2, 2], "counts": "oooooooooooo0"},
}


@pytest.mark.parametrize("segmentation", BROKEN.values(), ids=BROKEN.keys())
def test_a_damaged_record_is_refused(segmentation):
    with pytest.raises(DataError):
        rle.from_json(segmentation)


@given(masks, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_a_window_is_coded_as_the_whole_image_would_be(mask, left, top, right, bottom):
    whole = np.pad(mask, ((top, bottom), (left, right)))
    assert rle.encode_window(mask, (left, top), whole.shape) == rle.encode(whole)


def test_containment_is_the_share_of_the_first():
    small, large = np.zeros((2, 4, 6), bool)
    small[1:3, 1:5] = True
    large[:, 3:] = True
    codes = [rle.encode(mask) for mask in (small, large)]
    np.testing.assert_allclose(rle.containment_matrix(codes, codes), [[1, 0.5], [1 / 3, 1]])
    assert rle.containment_matrix([], codes).shape == (0, 2)


def test_area_of_a_union():
    first, second = np.zeros((2, 4, 6), bool)
    first[0], second[:2, :2] = True, True
    assert rle.union_area([rle.encode(first), rle.encode(second)]) == 8
    assert rle.union_area([]) == 0
