import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests import filler, official

from samlet.geometry import boxes

AMG = official.numbers("amg")
corners = st.integers(-50, 50)
box_lists = arrays(np.float32, st.tuples(st.integers(0, 30), st.just(4)), elements=st.integers(0, 40)).map(
    boxes.xywh_to_xyxy
)


def test_xyxy_to_xywh():
    assert boxes.xyxy_to_xywh([10, 20, 110, 220]).tolist() == [10, 20, 100, 200]


@given(arrays(np.int64, (3, 2, 4), elements=corners))
def test_the_two_formats_are_inverse(array):
    np.testing.assert_array_equal(boxes.xywh_to_xyxy(boxes.xyxy_to_xywh(array)), array)


def test_areas_take_any_leading_axes():
    assert boxes.areas([[[0, 0, 3, 4]], [[1, 1, 1, 9]]]).tolist() == [[12], [0]]


def test_clip():
    assert boxes.clip([[-5, 3, 700, 490], [1, 2, 3, 4]], (480, 640)).tolist() == [[0, 3, 640, 480], [1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("box", "other", "expected"),
    [
        ([0, 0, 10, 10], [0, 0, 10, 10], 1.0),
        ([0, 0, 10, 10], [5, 0, 15, 10], 1 / 3),
        ([0, 0, 10, 10], [10, 0, 20, 10], 0.0),  # touching
        ([0, 0, 10, 10], [12, 12, 20, 20], 0.0),  # apart on both axes: two negative extents must not make an area
        ([3, 3, 3, 3], [3, 3, 3, 3], 0.0),  # both empty
    ],
)
def test_iou(box, other, expected):
    assert boxes.iou_matrix([box], [other])[0, 0] == pytest.approx(expected)


def test_iou_of_no_boxes():
    assert boxes.iou_matrix(np.zeros((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)


@given(box_lists, box_lists)
def test_iou_is_symmetric_and_within_0_and_1(first, second):
    matrix = boxes.iou_matrix(first, second)
    assert matrix.shape == (len(first), len(second))
    assert ((matrix >= 0) & (matrix <= 1)).all()
    np.testing.assert_array_equal(matrix, boxes.iou_matrix(second, first).T)


@pytest.mark.parametrize(("threshold", "expected"), AMG["nms"].items())
def test_nms_keeps_what_torchvision_keeps(threshold, expected):
    candidates = np.abs(filler.array("boxes", 200, 4)) * 60
    candidates[:, 2:] += candidates[:, :2] + 5
    assert boxes.nms(candidates, filler.array("scores", 200), float(threshold)).tolist() == expected


@pytest.mark.parametrize(
    ("candidates", "scores", "threshold", "expected"),
    [
        ([], [], 0.5, []),
        ([[0, 0, 4, 4]], [0.1], 0.5, [0]),
        ([[0, 0, 4, 4]] * 3, [0.5, 0.9, 0.9], 0.5, [1]),  # equal scores keep their order
        ([[0, 0, 4, 4], [9, 9, 12, 12], [20, 0, 24, 4]], [1, 1, 1], 0.5, [0, 1, 2]),
        ([[0, 0, 10, 10], [0, 0, 10, 5]], [1, 0], 0.5, [0, 1]),  # exactly at the threshold: stays
        ([[0, 0, 10, 10], [0, 0, 10, 3]], [1, 0], 0.3, [0]),  # 0.3 as float32 is above 0.3
        ([[0, 0, 10, 10], [0, 0, 10, 7]], [1, 0], 0.7, [0, 1]),  # 0.7 as float32 is below 0.7
        ([[5, 5, 5, 5], [5, 5, 5, 5]], [1, 0], 0.5, [0, 1]),  # empty boxes overlap nothing
        ([[0, 0, 10, 10], [0, 0, 10, 8], [0, 2, 10, 12]], [0.5, 0.9, 0.1], 0.6, [1, 2]),  # the suppressed suppress none
    ],
)
def test_nms(candidates, scores, threshold, expected):
    assert boxes.nms(candidates, scores, threshold).tolist() == expected


@given(box_lists, st.floats(0, 0.9))
def test_nms_leaves_no_pair_above_the_threshold(candidates, threshold):
    scores = np.arange(len(candidates))
    kept = boxes.nms(candidates, scores, threshold)
    matrix = boxes.iou_matrix(candidates[kept], candidates[kept])
    np.fill_diagonal(matrix, 0)
    assert (matrix <= threshold + 1e-6).all()
    dropped = np.setdiff1d(np.arange(len(candidates)), kept)
    covering = boxes.iou_matrix(candidates[dropped], candidates[kept]) > threshold - 1e-6
    assert covering.any(axis=1).all()


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ([], [0, 0, 0, 0]),
        ([(0, 0)], [0, 0, 0, 0]),  # one pixel at the origin looks like none, as in segment_anything
        ([(2, 3)], [3, 2, 3, 2]),
        ([(1, 5), (4, 0)], [0, 1, 5, 4]),
        ([(4, 6)], [6, 4, 6, 4]),  # the last pixel
    ],
)
def test_boxes_from_masks(pixels, expected):
    mask = np.zeros((5, 7), bool)
    for row, column in pixels:
        mask[row, column] = True
    assert boxes.boxes_from_masks(mask).tolist() == expected
    assert boxes.boxes_from_masks(np.stack([mask, mask])[None]).tolist() == [[expected, expected]]


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_boxes_from_masks_are_tight(mask):
    left, top, right, bottom = boxes.boxes_from_masks(mask)
    inside = np.zeros_like(mask)
    inside[top : bottom + 1, left : right + 1] = True
    assert not (mask & ~inside).any()
    if mask.any():
        assert mask[:, left].any()
        assert mask[:, right].any()
        assert mask[top].any()
        assert mask[bottom].any()


def test_near_crop_edge_is_the_official_filter():
    case = AMG["near_crop_edge"]
    near = boxes.near_crop_edge(case["boxes"], case["crop_box"], tuple(case["size_hw"]))
    assert near.tolist() == case["near"]


def test_nothing_is_near_the_edge_of_a_crop_that_is_the_image():
    assert not boxes.near_crop_edge([[0, 0, 640, 480], [3, 3, 9, 9]], [0, 0, 640, 480], (480, 640)).any()


def test_uncrop_boxes():
    case = AMG["uncrop"]
    assert boxes.uncrop_boxes([[1, 2, 3, 4]], case["crop_box"]).tolist() == case["boxes"]
