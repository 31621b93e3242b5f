from __future__ import annotations

import numpy as np
import pytest
from tests.training.toy_stage import config

from samlet.training.batches.views import View, draw_view, generator, jitter_color

CONFIG = config(seed=7, min_crop=0.5)


def test_a_view_depends_on_seed_name_and_index_alone():
    first = draw_view((100, 200), "cat", 3, CONFIG)
    assert first == draw_view((100, 200), "cat", 3, CONFIG)
    assert len({draw_view((100, 200), name, i, CONFIG) for name in ("cat", "dog") for i in (1, 2)}) == 4


def test_the_first_view_is_the_whole_image():
    view = draw_view((100, 200), "cat", 0, CONFIG)
    assert (view.x0, view.y0, view.x1, view.y1) == (0, 0, 200, 100)


@pytest.mark.parametrize("size_hw", [(100, 200), (1, 1), (3, 1000)])
def test_later_views_stay_inside_and_keep_their_share(size_hw):
    height, width = size_hw
    for index in range(1, 50):
        view = draw_view(size_hw, "cat", index, CONFIG)
        assert 0 <= view.x0 < view.x1 <= width
        assert 0 <= view.y0 < view.y1 <= height
        assert view.x1 - view.x0 >= 0.5 * width - 1
        assert view.y1 - view.y0 >= 0.5 * height - 1


@pytest.mark.parametrize("size_hw", [(100, 200), (1, 1), (3, 1000)])
def test_zooms_are_windows_of_their_share_and_the_rest_is_whole(size_hw):
    height, width = size_hw
    settings = config(zoom=0.5, min_crop=0.3)
    views = [draw_view(size_hw, "cat", index, settings) for index in range(200)]
    sizes = [(view.x1 - view.x0, view.y1 - view.y0) for view in views]
    assert all(0 <= view.x0 < view.x1 <= width and 0 <= view.y0 < view.y1 <= height for view in views)
    assert all(max(size) >= 0.3 * max(size_hw) / 1.5**0.5 - 1 for size in sizes if min(size) < min(size_hw))
    if height > 1:
        assert 60 < sizes.count((width, height)) < 140
        assert len(set(sizes)) > 50


def test_nothing_is_mirrored_if_the_config_says_so():
    def mirrored(mirror):
        settings = config(mirror=mirror)
        return {draw_view((9, 9), "cat", i, settings).mirrored for i in range(20)}

    assert mirrored(True) == {True, False}
    assert mirrored(False) == {False}


def test_applying_a_view_cuts_and_mirrors_images_and_masks_alike():
    image = np.arange(24).reshape(2, 4, 3)
    assert np.array_equal(View(1, 0, 3, 2, False).apply(image), image[:, 1:3])
    assert np.array_equal(View(1, 0, 3, 2, True).apply(image), image[:, 2:0:-1])
    assert np.array_equal(View(0, 0, 4, 2, True).apply(image[..., 0]), image[:, ::-1, 0])


def test_color_changes_and_shape_stays():
    image = generator(0, "picture").integers(0, 256, (6, 5, 3), dtype=np.uint8)
    changed = jitter_color(image, generator(0, "color"), 0.3)
    assert changed.shape == image.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, image)
    assert np.array_equal(changed, jitter_color(image, generator(0, "color"), 0.3))
