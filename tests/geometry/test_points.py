import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import filler, official

from samlet.geometry import points

AMG = official.numbers("amg")
OVERLAP = 512 / 1500


@pytest.mark.parametrize(("per_side", "expected"), AMG["point_grids"].items())
def test_build_point_grid(per_side, expected):
    grid = points.build_point_grid(int(per_side))
    assert filler.difference(grid, expected["grid"]) < 1e-6
    assert grid[: len(expected["first"])].tolist() == expected["first"]
    assert grid[-len(expected["last"]) :].tolist() == expected["last"]


@pytest.mark.parametrize(("name", "sizes"), AMG["layer_grid_sizes"].items())
def test_build_layer_grids(name, sizes):
    per_side, layers, downscale = (int(part) for part in name.split(","))
    assert [len(grid) for grid in points.build_layer_grids(per_side, layers, downscale)] == sizes


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 50), (2, 3)])
def test_every_crop_of_a_tiny_image_has_a_pixel(size_hw):
    boxes, layers = points.crop_boxes(size_hw, 2, OVERLAP)
    assert len(boxes) == len(layers)
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    covered = np.zeros(size_hw, bool)
    for left, top, right, bottom in boxes[layers == 2]:
        covered[top:bottom, left:right] = True
    assert covered.all()


@pytest.mark.parametrize(("name", "expected"), AMG["crop_boxes"].items())
def test_crop_boxes(name, expected):
    size, layers = name.split(",")
    height, width = (int(side) for side in size.split("x"))
    boxes, box_layers = points.crop_boxes((height, width), int(layers), OVERLAP)
    assert boxes.tolist() == expected["boxes"]
    assert box_layers.tolist() == expected["layers"]


@given(st.integers(8, 300), st.integers(8, 300), st.integers(1, 2))
def test_the_crops_of_a_layer_cover_the_image(height, width, layers):
    boxes, box_layers = points.crop_boxes((height, width), layers, OVERLAP)
    for layer in range(layers + 1):
        covered = np.zeros((height, width), bool)
        for left, top, right, bottom in boxes[box_layers == layer]:
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height
            covered[top:bottom, left:right] = True
        assert covered.all()


def test_uncrop_points():
    case = AMG["uncrop"]
    assert points.uncrop_points([[1, 2]], case["crop_box"]).tolist() == case["points"]


@pytest.mark.parametrize(("per_side", "stride"), [(8, 4), (5, 4), (1, 4), (3, 1)])
def test_coarse_to_fine_tries_each_click_once(per_side, stride):
    levels = points.coarse_to_fine(per_side, stride)
    assert sorted(np.concatenate(levels).tolist()) == list(range(per_side**2))
    assert [len(level) for level in levels] == sorted(len(level) for level in levels)


def test_the_first_level_is_a_coarse_grid():
    first = points.coarse_to_fine(8, 4)[0]
    assert first.tolist() == [2 * 8 + 2, 2 * 8 + 6, 6 * 8 + 2, 6 * 8 + 6]
