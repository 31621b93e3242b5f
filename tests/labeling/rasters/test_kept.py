"""What is done of a raster, kept row by row."""

import numpy as np
import pytest
from tests.painted import SIZE_HW, Finder, PaintedScene

from samlet.errors import OutputError
from samlet.geometry.seams import Grid
from samlet.labeling.rasters.kept import KeptWindows
from samlet.tiling import pieces_of

GRID = Grid(SIZE_HW, 128, 32)


def _told(views):
    return [
        (window, [(p.runs.box_xyxy, p.runs.area_px, p.number, p.cut, p.iou, p.stability, p.point_xy) for p in pieces])
        for window, pieces in views
    ]


def _views(row):
    scene = PaintedScene()
    return [(window, pieces_of(Finder(), scene.read(window), window, SIZE_HW)) for window in GRID.row(row)]


@pytest.fixture
def windows(tmp_path):
    """Two rows of windows that are done."""
    windows = KeptWindows(tmp_path / "windows", GRID)
    for row in (0, 1):
        windows.start(row, 0)
        for window, pieces in _views(row):
            windows.add(row, window, pieces)
    return windows


def test_what_is_kept_is_what_was_found(windows):
    assert windows.done() == [5, 5, 0]
    for row in (0, 1):
        assert _told(windows.row(row)) == _told(_views(row))
    assert windows.row(2) == []


@pytest.mark.parametrize("left", [0, 1, 10, 300])
def test_a_line_that_was_cut_is_done_again_with_what_follows(windows, left):
    path = windows.folder / "000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:-1][:left] + b"\n".join([b""] * (left % 2)) + b"".join(lines[3:]))
    assert windows.done() == [5, 2, 0]
    windows.start(1, 2)
    for window, pieces in _views(1)[2:]:
        windows.add(1, window, pieces)
    assert path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("damage", [b"{}\n", b"[]\n", b'{"window_xyxy":[0,0,9,9],"masks":[]}\n', b"\0" * 500 + b"\n"])
def test_a_line_that_is_not_of_its_window_counts_for_nothing(windows, damage):
    (windows.folder / "000000.jsonl").write_bytes(damage)
    assert windows.done() == [0, 5, 0]


def test_a_mask_that_is_damaged_counts_for_nothing(windows):
    path = windows.folder / "000000.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"counts":"', b'"counts":"~', 1))
    assert windows.done()[0] < 5


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "windows").write_text("a file")
    with pytest.raises(OutputError, match="windows"):
        KeptWindows(tmp_path / "windows", GRID).start(0, 0)


def test_numbers_survive_to_the_last_digit(tmp_path):
    windows = KeptWindows(tmp_path, GRID)
    iou = float(np.float32(0.1) / np.float32(3))
    (window, pieces), *_ = _views(0)
    piece = type(pieces[0])(pieces[0].runs, window, 0, pieces[0].cut, iou, None, None)
    windows.start(0, 0)
    windows.add(0, window, [piece])
    ((_, (kept,)),) = windows.row(0)
    assert (kept.iou, kept.stability, kept.point_xy) == (iou, None, None)
