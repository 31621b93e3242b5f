from __future__ import annotations

import pytest
import torch

from samlet.training.stages.losses import (
    at_uncertain_points,
    mask_losses,
    masked_cosine,
    masked_mse,
    spots_needed,
    true_iou,
)


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


def disc_logits(radius=60.0):
    """Logits that fall with the distance from the center: 0 on a circle."""
    y, x = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    return (radius - torch.hypot(x - 128, y - 128))[None, None]


def spots(points, seed=0):
    return torch.rand(spots_needed(points), 2, generator=torch.Generator().manual_seed(seed))


def test_focal_weighs_by_the_error():
    target = torch.ones(1, 1, 2, 2)
    logits = torch.zeros(1, 1, 2, 2)
    valid = torch.ones(1, 1, 2, 2, dtype=torch.bool)
    plain, dice = mask_losses(logits, target, valid)
    focal, same = mask_losses(logits, target, valid, focal=2.0)
    assert focal.item() == pytest.approx(plain.item() / 4)  # every pixel is wrong by one half
    assert same == dice


def test_points_gather_where_the_mask_is_uncertain_and_a_quarter_anywhere():
    logits = disc_logits()
    values, target = at_uncertain_points(logits, (logits > 0).float(), torch.ones_like(logits) > 0, spots(400), 400)
    assert values.shape == target.shape == (1, 1, 400, 1)
    nearest, anywhere = values[0, 0, :300, 0].abs(), values[0, 0, 300:, 0].abs()
    assert nearest.max() < 30
    assert nearest.mean() < 0.5 * anywhere.mean()
    assert target[values > 2].min() > 0.999
    assert target[values < -2].max() < 0.001


def test_each_mask_has_its_own_points():
    logits = torch.cat([disc_logits(60.0), disc_logits(110.0)], dim=1)
    values, _ = at_uncertain_points(logits, torch.zeros(1, 1, 256, 256), logits[:, :1] < 999, spots(100), 100)
    assert values[0, :, :75].abs().max() < 35  # the other mask's rim is 50 away


def test_points_lie_in_the_valid_corner_and_carry_gradients():
    valid = torch.zeros(2, 1, 256, 256, dtype=torch.bool)
    valid[0, :, :64], valid[1, :, :, :32] = True, True
    inside = torch.where(valid, 1.0, 100.0).requires_grad_()
    values, _ = at_uncertain_points(inside, torch.zeros(2, 1, 256, 256), valid, spots(200), 200)
    assert values.min() > 0.999
    assert (values < 1.001).float().mean() > 0.97  # only the last row of cells is read together with the padding
    values.sum().backward()
    assert inside.grad.abs().sum() > 0


def test_losses_of_half_precision_logits_do_not_overflow():
    logits = torch.full((1, 1, 256, 256), 9.0, dtype=torch.float16)
    bce, dice = mask_losses(logits, torch.ones(1, 1, 256, 256), torch.ones(1, 1, 256, 256, dtype=torch.bool))
    assert bce < 1e-3
    assert dice < 1e-3
