from __future__ import annotations

import pytest
import torch

from samlet.training.losses import mask_losses, masked_cosine, masked_mse, true_iou


def test_padding_has_no_part_in_the_embedding_losses():
    student, teacher = torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2)
    student[0, :, 1, 1] = 100.0
    valid = torch.ones(2, 2, 2, dtype=torch.bool)
    valid[0, 1, 1] = False
    assert masked_mse(student, teacher, valid).item() == pytest.approx(1.0)


def test_each_image_counts_once_whatever_its_padding():
    student, teacher = torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    student[0] = 1.0  # four valid cells with error 1
    student[1, 0, 0, 0] = 3.0  # one valid cell with error 9
    valid = torch.ones(2, 2, 2, dtype=torch.bool)
    valid[1] = False
    valid[1, 0, 0] = True
    assert masked_mse(student, teacher, valid).item() == pytest.approx((1 + 9) / 2)


def test_cosine_sees_direction_and_not_length():
    teacher = torch.randn(1, 8, 2, 2)
    valid = torch.ones(1, 2, 2, dtype=torch.bool)
    assert masked_cosine(3 * teacher, teacher, valid).item() == pytest.approx(0, abs=1e-6)
    assert masked_cosine(-teacher, teacher, valid).item() == pytest.approx(2, abs=1e-6)


def test_mask_losses_are_near_zero_for_the_mask_itself_and_large_for_its_opposite():
    target = torch.zeros(1, 1, 8, 8)
    target[..., 2:6, 2:6] = 1
    logits = torch.cat([40 * target - 20, 20 - 40 * target], dim=1)
    bce, dice = mask_losses(logits, target, torch.ones(1, 1, 8, 8, dtype=torch.bool))
    assert bce.shape == dice.shape == (1, 2)
    assert bce[0, 0] < 1e-6
    assert dice[0, 0] < 1e-6
    assert bce[0, 1] > 19
    assert dice[0, 1] > 0.9


def test_mask_losses_and_true_iou_ignore_what_is_not_valid():
    target = torch.zeros(1, 1, 4, 4)
    target[..., :2] = 1
    valid = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    valid[..., :2, :] = True
    logits = 40 * target - 20
    logits[..., 2:, :] = 20  # wrong, but outside
    bce, dice = mask_losses(logits, target, valid)
    assert bce.item() < 1e-6
    assert dice.item() < 1e-6
    assert true_iou(logits, target, valid).item() == 1.0


@pytest.mark.parametrize(
    ("predicted", "wanted", "iou"),
    [
        ([1, 1, 0, 0], [1, 1, 0, 0], 1.0),
        ([1, 1, 0, 0], [0, 1, 1, 0], 1 / 3),
        ([0, 0, 0, 0], [1, 0, 0, 0], 0.0),
        ([0, 0, 0, 0], [0, 0, 0, 0], 0.0),  # both empty
    ],
)
def test_true_iou(predicted, wanted, iou):
    logits = torch.tensor(predicted, dtype=torch.float32).reshape(1, 1, 2, 2) * 2 - 1
    target = torch.tensor(wanted, dtype=torch.float32).reshape(1, 1, 2, 2)
    assert true_iou(logits, target, torch.ones(1, 1, 2, 2, dtype=torch.bool)).item() == pytest.approx(iou)
