from __future__ import annotations

import numpy as np
import pytest

from samlet.sam_api import ResizeLongestSide


def test_points_are_scaled_as_the_official_code_scales_them():
    scaled = ResizeLongestSide(1024).apply_coords([[200, 150], [0, 0], [426.5, 639]], (640, 427))
    assert scaled == pytest.approx(np.array([[319.90632318501173, 240.0], [0, 0], [682.2002341920374, 1022.4]]))


def test_boxes_are_scaled_as_two_points():
    transform = ResizeLongestSide(1024)
    corners = transform.apply_coords([[[10, 20], [300, 400]]], (640, 427))
    assert transform.apply_boxes([10, 20, 300, 400], (640, 427)).tolist() == corners.reshape(1, 4).tolist()
    assert transform.apply_boxes(np.zeros((0, 4)), (640, 427)).shape == (0, 4)


def test_tensors_are_scaled_alike():
    torch = pytest.importorskip("torch")
    transform = ResizeLongestSide(1024)
    boxes = torch.tensor([[10, 20, 300, 400], [0, 0, 427, 640]])
    scaled = transform.apply_boxes_torch(boxes, (640, 427))
    assert scaled.dtype == torch.float32
    assert scaled.numpy() == pytest.approx(transform.apply_boxes(boxes.numpy(), (640, 427)))
    assert boxes[0].tolist() == [10, 20, 300, 400]  # the caller's tensor is left alone


@pytest.mark.parametrize(
    ("transform", "size"),
    [(ResizeLongestSide(1024), (1024, 683)), (ResizeLongestSide(1024, canvas=512), (512, 342))],
)
def test_an_image_becomes_as_large_as_the_encoder_wants(transform, size):
    image = transform.apply_image(np.zeros((640, 427, 3), np.uint8))
    assert image.shape == (*size, 3)
    assert image.dtype == np.uint8


def test_the_length_is_that_of_coordinates():
    assert ResizeLongestSide(1024, canvas=512).target_length == 1024
