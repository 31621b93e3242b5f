import numpy as np
import pytest

from samlet.geometry.windows import MERGED_GROWTH, Window, merged, window_around

SIZE_HW = (300, 400)


def test_a_window_is_a_square_with_a_margin_of_the_longer_side():
    assert window_around((150, 140, 250, 160), SIZE_HW, 0.4, 0.1).xyxy == (110, 60, 290, 240)


def test_magnification_is_bounded():
    assert window_around((200, 150, 204, 152), SIZE_HW, 0.4, 0.25).size_hw == (100, 100)


def test_at_the_border_a_window_moves_and_does_not_shrink():
    assert window_around((0, 280, 40, 300), SIZE_HW, 0.4, 0.25).xyxy == (0, 200, 100, 300)


@pytest.mark.parametrize("box", [(0, 0, 400, 300), (10, 10, 390, 290), (0.5, 3, 399.5, 4)])
def test_no_window_leaves_the_image(box):
    assert window_around(box, SIZE_HW, 0.4, 0.4).xyxy == (0, 0, 400, 300)


@pytest.mark.parametrize("seed", range(5))
def test_the_box_lies_in_its_window(seed):
    random = np.random.default_rng(seed)
    x, y = np.sort(random.uniform(0, 400, 2)), np.sort(random.uniform(0, 300, 2))
    window = window_around((x[0], y[0], x[1], y[1]), SIZE_HW, 0.4, 0.33)
    assert (window.left, window.top) <= (x[0], y[0])
    assert window.right >= x[1]
    assert window.bottom >= y[1]


def test_a_margin_ends_at_the_image():
    assert Window(5, 5, 20, 290).grown(10, SIZE_HW).xyxy == (0, 0, 30, 300)


def test_windows_that_lie_together_become_one_and_others_stay():
    windows = {3: Window(0, 0, 100, 100), 5: Window(20, 10, 120, 110), 8: Window(250, 100, 350, 200)}
    assert merged(windows) == [(Window(0, 0, 120, 110), [3, 5]), (Window(250, 100, 350, 200), [8])]
    assert merged({}) == []


def test_a_shared_window_never_shrinks_an_object_beyond_the_bound():
    windows = {number: Window(20 * number, 0, 20 * number + 100, 100) for number in range(10)}
    for shared, members in merged(windows):
        assert max(shared.size_hw) <= MERGED_GROWTH * 100
        assert all(shared.joined(windows[member]) == shared for member in members)
