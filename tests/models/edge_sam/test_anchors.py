from __future__ import annotations

import math

import pytest
import torch

from samlet.models.edge_sam.anchors import MAX_LOG_RATIO, AnchorShapes, anchors, decode, encode, iou

BOXES = torch.tensor([[10.0, 20, 30, 60], [0, 0, 4, 4], [100, 50, 101, 250]])


def test_a_cell_has_nine_boxes_around_its_center():
    boxes = anchors((2, 3), 8)
    assert boxes.shape == (2 * 3 * 9, 4)
    assert boxes.dtype == torch.float32
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert centers[::9].tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12]]
    assert torch.allclose(centers.reshape(6, 9, 2), centers[::9, None])


def test_sides_are_four_strides_and_thirds_of_an_octave_more_in_three_aspects():
    width, height = (anchors((1, 1), 16)[:, 2:] - anchors((1, 1), 16)[:, :2]).T
    assert (width * height).sqrt().tolist() == pytest.approx([64, 64 * 2 ** (1 / 3), 64 * 2 ** (2 / 3)] * 3, rel=1e-5)
    assert (height / width).tolist() == pytest.approx([1] * 3 + [0.5] * 3 + [2] * 3, rel=1e-5)


def test_other_shapes_lie_aspect_by_aspect_around_another_center():
    boxes = anchors((1, 2), 4, AnchorShapes(aspects=(0.25, 4.0), scales=(1.0, 2.0), center=0.0))
    first = [[-4, -1, 4, 1], [-8, -2, 8, 2], [-1, -4, 1, 4], [-2, -8, 2, 8]]
    assert boxes.tolist() == [*first, *([x0 + 4, y0, x1 + 4, y1] for x0, y0, x1, y1 in first)]


def test_offsets_move_by_sides_and_stretch_by_logs():
    box = torch.tensor([10.0, 10, 30, 20])
    assert decode(box, torch.tensor([0.5, -1, math.log(2), 0])).tolist() == pytest.approx([10, 0, 50, 10])
    assert decode(box, torch.zeros(4)).tolist() == pytest.approx(box.tolist())


def test_stretching_has_a_limit():
    far = decode(torch.tensor([0.0, 0, 2, 2]), torch.tensor([0, 0, 99.0, -99]))
    assert (far[2] - far[0]).item() == pytest.approx(2 * math.exp(MAX_LOG_RATIO), rel=1e-5)
    assert (far[3] - far[1]).item() == pytest.approx(2 * math.exp(-MAX_LOG_RATIO), rel=1e-4)


def test_encode_is_the_inverse_of_decode():
    wanted = BOXES[[1, 2, 0]]
    torch.testing.assert_close(decode(BOXES, encode(BOXES, wanted)), wanted, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param([10, 20, 30, 60], [1, 0, 0], id="itself"),
        pytest.param([20, 20, 40, 60], [1 / 3, 0, 0], id="half of it"),
        pytest.param([2, 2, 6, 6], [0, 4 / 28, 0], id="a corner"),
        pytest.param([30, 60, 40, 70], [0, 0, 0], id="touching"),
        pytest.param([0, 0, 0, 0], [0, 0, 0], id="no area"),
    ],
)
def test_iou_with_one_box(box, expected):
    assert iou(BOXES, torch.tensor(box, dtype=torch.float32)).tolist() == pytest.approx(expected)
