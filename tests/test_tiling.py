"""Everything, and answers to prompts, in scenes that are read by windows."""

import numpy as np
import pytest
from tests.painted import SIZE_HW, Finder, PaintedScene

from samlet.errors import PromptError
from samlet.geometry.rle import encode
from samlet.geometry.seams import Grid
from samlet.masks import Mask, MaskSet
from samlet.prompts import Prompts
from samlet.tiling import everything_in_windows, reduced, segment_in_windows


@pytest.fixture
def finder():
    return Finder()


def _thing(scene, level):
    return scene.levels == level


def test_things_on_borders_are_whole_and_have_a_click_and_a_window(finder):
    scene, told = PaintedScene(), []
    masks = everything_in_windows(finder, scene, Grid(SIZE_HW, 128, 32), lambda done, total: told.append((done, total)))
    assert masks.size_hw == SIZE_HW
    found = {int(scene.levels[mask.to_array()].max()): mask for mask in masks}
    assert sorted(found) == [1, 2, 3]
    for level, mask in found.items():
        assert np.array_equal(mask.to_array(), _thing(scene, level))
        left, top, width, height = mask.crop_box_xywh
        assert mask.point_xy == (left + 3.0, top + 4.0)
        assert (width, height) == (128, 128)
        assert (mask.iou, mask.stability) == (pytest.approx(0.9), pytest.approx(0.95))
    assert told == [(done, 15) for done in range(1, 16)]


def test_disjoint_masks_are_so_across_windows():
    scene = PaintedScene({1: (20, 20, 200, 100)})

    class Nested(Finder):
        def generate(self, pixels):
            found = [pixels[..., 0] > 0, (pixels[..., 0] > 0) & (np.arange(pixels.shape[0]) % 100 > 50)[:, None]]
            return MaskSet([Mask(encode(each), 0.9, 0.9, (0.0, 0.0)) for each in found], pixels.shape[:2])

    overlapping, apart = (
        everything_in_windows(Nested(disjoint), scene, Grid(SIZE_HW, 128, 32)).to_array() for disjoint in (False, True)
    )
    assert (overlapping.sum(axis=0) > 1).any()
    assert (apart.sum(axis=0) <= 1).all()
    assert np.array_equal(apart.any(axis=0), overlapping.any(axis=0))


def test_where_the_scene_shows_nothing_no_mask_is(finder):
    scene = PaintedScene(nothing=(60, 0, 420, 300))
    masks = everything_in_windows(finder, scene, Grid(SIZE_HW, 128, 32))
    assert sorted(mask.area_px for mask in masks) == [30 * 50, 40 * 140]
    assert len(finder.asked) == 3  # the windows of the first column; the others have nothing to be looked at


@pytest.mark.parametrize(
    ("prompt", "level"),
    [
        (Prompts.points([[40, 40]]), 1),
        (Prompts.points([[290, 30]]), 2),
        (Prompts.boxes([20, 150, 60, 290]), 3),
        (Prompts.boxes([-0.5, 149, 60, 290.5]), 3),
    ],
)
def test_an_answer_is_looked_for_in_windows_until_none_cuts_it(finder, prompt, level):
    scene = PaintedScene()
    (mask,) = segment_in_windows(finder.ask, scene, prompt, window_px=64)
    assert np.array_equal(mask.to_array(), _thing(scene, level))
    sides = [max(window.size_hw) for window, _ in scene.read_windows]
    assert sides == sorted(sides)
    assert sides[0] < 300


def test_an_answer_that_every_window_cuts_is_that_of_the_scene(finder):
    scene = PaintedScene({4: (0, 140, 420, 150)})
    (mask,) = segment_in_windows(finder.ask, scene, Prompts.points([[200, 145]]), window_px=64)
    assert np.array_equal(mask.to_array(), _thing(scene, 4))


def test_large_windows_are_looked_at_coarsely(finder, monkeypatch):
    monkeypatch.setattr("samlet.tiling.MOST_LOOK_PX", 100)
    scene = PaintedScene({5: (10, 10, 390, 290)})
    (mask,) = segment_in_windows(finder.ask, scene, Prompts.points([[200, 145]]), window_px=64)
    assert scene.read_windows[-1][1] == 5
    assert np.array_equal(mask.to_array(), _thing(scene, 5))


def test_masks_keep_the_order_of_their_prompts(finder):
    prompts = Prompts.stack([Prompts.points([[290, 30]]), Prompts.points([[40, 40]]), Prompts.points([[0, 0]])])
    scene = PaintedScene(nothing=(0, 0, 5, 5))
    masks = segment_in_windows(finder.ask, scene, prompts, window_px=64)
    assert [mask.prompt_index for mask in masks] == [0, 1, 2]
    assert [mask.area_px for mask in masks[:2]] == [200 * 40, 60 * 50]


def test_a_prompt_where_the_scene_shows_nothing_has_no_mask(finder):
    scene = PaintedScene(nothing=(0, 0, 420, 300))
    assert len(segment_in_windows(finder.ask, scene, Prompts.points([[40, 40]]), window_px=64)) == 0


@pytest.mark.parametrize(
    ("prompts", "named"),
    [
        (Prompts.points([[420, 10]]), "420"),
        (Prompts.points([[10, 10]]).with_mask_hint(np.zeros((256, 256))), "mask hint"),
    ],
)
def test_what_no_scene_can_answer_is_refused(finder, prompts, named):
    with pytest.raises(PromptError, match=named):
        segment_in_windows(finder.ask, PaintedScene(), prompts)


def test_reduced_masks_are_of_the_reduced_picture():
    mask = np.zeros((10, 11), bool)
    mask[2:8, 3:9] = True
    (small,) = reduced([Mask(encode(mask), 0.5)], 3, (4, 4))
    assert np.array_equal(small.to_array()[:3, :3], mask[1::3, 1::3][:3, :3])
    assert small.iou == 0.5
