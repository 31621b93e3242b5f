"""Masks of overlapping windows joined into those of the scene."""

import numpy as np
import pytest

from samlet.errors import InputError
from samlet.geometry.rle import encode
from samlet.geometry.runs import Runs
from samlet.geometry.seams import Grid, Joiner, Piece

GRID = Grid((300, 420), window_px=128, overlap_px=32)


def _scene(*boxes_xyxy, size_hw=GRID.size_hw):
    """A mask for each box."""
    masks = []
    for left, top, right, bottom in boxes_xyxy:
        mask = np.zeros(size_hw, bool)
        mask[top:bottom, left:right] = True
        masks.append(mask)
    return masks


def _seen(masks, grid=GRID, iou=lambda window, number: 0.9):
    """What each window shows of the masks, row by row; a mask's number in a window is its number in the scene."""
    for row in range(len(grid.tops)):
        views = []
        for window in grid.row(row):
            pieces = []
            for number, mask in enumerate(masks):
                part = mask[window.top : window.bottom, window.left : window.right]
                runs = Runs.of(encode(part), (window.left, window.top))
                pieces.append(Piece.of(runs, window, number, grid.size_hw, iou(window, number), 0.95))
            views.append((window, pieces))
        yield views


def _joined(masks, grid=GRID, **changes):
    joiner = Joiner(grid)
    return [mask for views in _seen(masks, grid, **changes) for mask in joiner.add_row(views)]


def _boxes(joined):
    return sorted(mask.runs.box_xyxy for mask in joined)


@pytest.mark.parametrize(
    ("size_hw", "lefts", "tops"),
    [
        ((100, 100), [0], [0]),
        ((128, 129), [0, 1], [0]),
        ((224, 225), [0, 96, 97], [0, 96]),
        ((300, 420), [0, 96, 192, 288, 292], [0, 96, 172]),
    ],
)
def test_windows_cover_the_scene_and_overlap(size_hw, lefts, tops):
    grid = Grid(size_hw, 128, 32)
    assert (grid.lefts, grid.tops) == (lefts, tops)
    assert len(grid) == len(lefts) * len(tops)
    covered = np.zeros(size_hw, bool)
    for number in range(len(tops)):
        for window in grid.row(number):
            covered[window.top : window.bottom, window.left : window.right] = True
    assert covered.all()


@pytest.mark.parametrize(
    ("window_px", "overlap_px", "named"),
    [(128, 128, "128"), (128, 200, "200"), (128, -1, "-1"), (8, 2, "8"), (10**5, 2, "100000")],
)
def test_a_window_must_be_larger_than_its_overlap(window_px, overlap_px, named):
    with pytest.raises(InputError, match=named):
        Grid((300, 420), window_px, overlap_px)


@pytest.mark.parametrize(
    "box",
    [
        (10, 10, 60, 60),  # one window
        (100, 10, 120, 30),  # in the seam of two
        (80, 10, 180, 60),  # over one border
        (10, 50, 60, 280),  # from top to bottom
        (5, 5, 415, 295),  # over all windows
        (90, 90, 135, 135),  # a corner of four
        (0, 0, 420, 300),  # everything
        (291, 171, 292, 172),  # a pixel
    ],
)
def test_a_thing_is_one_mask_whatever_borders_it_lies_on(box):
    (mask,) = _scene(box)
    (joined,) = _joined([mask])
    assert np.array_equal(joined.runs.window((0, 0, 420, 300)), mask)
    assert joined.iou == pytest.approx(0.9)
    assert joined.stability == pytest.approx(0.95)


@pytest.mark.parametrize("seed", range(2))
def test_many_things_stay_apart(seed):
    random = np.random.default_rng(seed)
    corners = [(x, y) for x in range(0, 400, 42) for y in range(0, 280, 31)]
    boxes = [(x, y, x + int(random.integers(3, 39)), y + int(random.integers(3, 20))) for x, y in corners]
    assert _boxes(_joined(_scene(*boxes))) == sorted(boxes)


def test_a_part_and_the_whole_it_lies_in_are_not_joined_though_the_seam_shows_them_alike():
    house, roof = (20, 20, 128, 60), (90, 20, 128, 60)  # the same in the seam from 96 to 128
    assert _boxes(_joined(_scene(house, roof))) == sorted([house, roof])


def test_cores_part_the_scene():
    seen = np.zeros(GRID.size_hw, int)
    for row in range(len(GRID.tops)):
        for window in GRID.row(row):
            left, top, right, bottom = GRID.core(window)
            assert (window.left <= left, right <= window.right) == (True, True)
            seen[top:bottom, left:right] += 1
    assert (seen == 1).all()


def test_where_two_windows_disagree_each_is_believed_on_its_side_of_the_seam():
    left, right = _scene((20, 20, 128, 60), (96, 20, 200, 70))
    views = [
        [(window, [piece for piece in pieces if piece.number == int(window.left > 0)]) for window, pieces in row]
        for row in _seen([left, right])
    ]
    joiner = Joiner(GRID)
    (joined,) = [mask for row in views for mask in joiner.add_row(row)]
    expected = np.where(np.arange(420) < 112, left, right)  # the middle of the seam from 96 to 128
    assert np.array_equal(joined.runs.window((0, 0, 420, 300)), expected)


def test_a_view_that_no_border_cuts_stands_for_all():
    (mask,) = _scene((100, 10, 200, 60))  # whole in the second window only
    (joined,) = _joined([mask])
    assert [piece.window.left for piece in joined.pieces] == [96]


def test_a_sliver_on_a_border_is_left_to_the_neighbor():
    sliver, neighbor = (120, 10, 128, 60), (110, 10, 190, 60)
    masks = _scene(sliver, neighbor)
    # Only the first window makes the sliver; the neighbor's mask there agrees too little with it to be joined.
    views = [
        [(window, [piece for piece in pieces if (piece.number == 0) == (window.left == 0)]) for window, pieces in row]
        for row in _seen(masks)
    ]
    joiner = Joiner(GRID)
    assert _boxes(mask for row in views for mask in joiner.add_row(row)) == [neighbor]


@pytest.mark.parametrize(
    ("whole", "stays"),
    [((10, 5, 200, 65), False), ((60, 5, 200, 65), False), ((80, 5, 200, 65), True), ((30, 15, 110, 35), True)],
    ids=["covered", "nearly covered", "half covered", "smaller"],
)
def test_what_is_still_cut_goes_where_a_larger_mask_has_it(whole, stays):
    cut = (50, 10, 128, 60)  # only the first window makes it, though it could go on in the second
    views = [
        [(window, [piece for piece in pieces if piece.number or window.left == 0]) for window, pieces in row]
        for row in _seen(_scene(cut, whole))
    ]
    joiner = Joiner(GRID)
    boxes = _boxes(mask for row in views for mask in joiner.add_row(row))
    assert boxes == sorted([cut, whole] if stays else [whole])


def test_of_duplicates_the_one_with_the_higher_predicted_iou_stays():
    first, second = (40, 100, 90, 115), (40, 100, 90, 113)
    joined = _joined(_scene(first, second), iou=lambda window, number: 0.8 + 0.1 * number)
    assert _boxes(joined) == [second]


def test_masks_that_joining_makes_alike_are_duplicates():
    tall, short = (40, 60, 90, 220), (40, 85, 90, 215)  # in the first row of windows their boxes differ enough
    joined = _joined(_scene(tall, short), iou=lambda window, number: 0.8 + 0.1 * number)
    assert _boxes(joined) == [short]


def test_masks_come_as_soon_as_no_window_can_add_to_them_and_memory_is_let_go():
    grid = Grid((128 + 96 * 15, 128), 128, 32)
    joiner, waiting = Joiner(grid), []
    joined = []
    for row, number in zip(_seen(_rows_of_things(grid), grid), range(len(grid.tops)), strict=True):
        joined += joiner.add_row(row)
        waiting.append(number * 2 - len(joined))
    assert len(joined) == 2 * len(grid.tops)
    assert max(waiting) <= 6


def _rows_of_things(grid):
    return _scene(
        *[(x, top + 40, x + 20, top + 60) for top in grid.tops for x in (10, 60)], size_hw=grid.size_hw
    )  # fmt: skip


def test_nothing_comes_of_nothing():
    assert _joined([]) == []
    assert _joined(_scene((0, 0, 0, 0))) == []


def test_the_same_pieces_give_the_same_masks_in_the_same_order():
    random = np.random.default_rng(7)
    boxes = [tuple(np.sort(random.integers(0, 300, (2, 2)), axis=0).ravel().tolist()) for _ in range(20)]
    masks = _scene(*((left, top, right + 1, bottom + 1) for left, top, right, bottom in boxes))
    first, second = ([mask.runs.box_xyxy for mask in _joined(masks)] for _ in range(2))
    assert first == second
    assert len(first) > 5


@pytest.mark.parametrize("seed", range(2))
def test_windows_that_see_a_little_differently_still_give_one_mask_for_each_thing(seed):
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: GRID.size_hw[0], : GRID.size_hw[1]]
    centers = [(column, row) for column in range(40, 400, 80) for row in range(40, 280, 80)]
    away = [np.hypot(x - column, y - row) for column, row in centers]
    radii = random.uniform(20, 37, len(centers))
    joiner, joined = Joiner(GRID), []
    for row in range(len(GRID.tops)):
        views = []
        for window in GRID.row(row):
            pieces = []
            for number, (distance, radius) in enumerate(zip(away, radii, strict=True)):
                part = distance[window.top : window.bottom, window.left : window.right] < radius + random.uniform(-2, 2)
                runs = Runs.of(encode(part), (window.left, window.top))
                pieces.append(Piece.of(runs, window, number, GRID.size_hw, random.uniform(0.5, 0.9)))
            views.append((window, pieces))
        joined += joiner.add_row(views)
    assert len(joined) == len(centers)
    found = [mask.runs.window((0, 0, 420, 300)) for mask in joined]
    for distance, radius in zip(away, radii, strict=True):
        truth = distance < radius
        assert max((truth & mask).sum() / (truth | mask).sum() for mask in found) > 0.8
