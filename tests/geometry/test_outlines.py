import cv2
import numpy as np
import pytest
from tests.filling import filled

from samlet.geometry.outlines import as_one_ring, joined, ring_area, trace


def blobs(seed, size_hw=(40, 53)):
    noise = np.random.default_rng(seed).random(size_hw).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 1.5) > 0.5


MASKS = {
    "one pixel": np.eye(1, 5, 2, dtype=bool),
    "pixels that touch at a corner": np.eye(4, dtype=bool),
    "a frame": np.pad(np.zeros((3, 2), bool), 1, constant_values=True),
    "everything": np.ones((4, 7), bool),
    "an island in a hole": np.pad(np.pad(np.ones((1, 1), bool), 2), 1, constant_values=True),
    **{f"blobs {seed}": blobs(seed) for seed in range(4)},
    "noise": np.random.default_rng(9).random((23, 31)) > 0.5,
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_exact_rings_fill_to_the_same_mask(mask):
    polygons = trace(mask, 0)
    assert np.array_equal(filled([ring for polygon in polygons for ring in polygon], mask.shape), mask)
    assert sum(ring_area(p[0]) - sum(map(ring_area, p[1:])) for p in polygons) == mask.sum()


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_a_single_ring_with_bridges_fills_to_the_same_mask(mask):
    rings = [as_one_ring(polygon) for polygon in trace(mask, 0)]
    assert np.array_equal(filled(rings, mask.shape), mask)
    assert np.array_equal(filled([joined(rings)], mask.shape), mask)


def test_an_empty_mask_has_no_polygon():
    assert trace(np.zeros((5, 6), bool)) == []


def test_a_part_is_its_outer_ring_then_its_holes_the_largest_part_first():
    mask = np.zeros((20, 30), bool)
    mask[1:3, 1:3] = True
    mask[5:18, 6:26] = True
    mask[8:12, 10:20] = False
    polygons = trace(mask)
    assert [len(polygon) for polygon in polygons] == [2, 1]
    assert polygons[0][0].min(axis=0).tolist() == [6, 5]
    assert polygons[0][0].max(axis=0).tolist() == [26, 18]
    assert ring_area(polygons[0][1]) == pytest.approx(40)


def test_a_tolerance_leaves_few_corners_and_stays_close():
    y, x = np.mgrid[:120, :120]
    mask = np.hypot(x - 60, y - 60) < 50
    exact, simple = trace(mask, 0)[0][0], trace(mask, 1.0)[0][0]
    assert len(simple) < len(exact) / 4
    close = filled([simple], mask.shape)
    assert (close & mask).sum() / (close | mask).sum() > 0.98


def test_what_is_smaller_than_the_tolerance_stays_and_its_holes_go():
    mask = np.ones((9, 9), bool)
    mask[4, 4] = False
    assert [len(polygon) for polygon in trace(mask, 3.0)] == [1]
    assert ring_area(trace(np.eye(1, dtype=bool), 3.0)[0][0]) == 1
