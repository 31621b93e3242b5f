from __future__ import annotations

import numpy as np
import pytest
import torch

from samlet.geometry.boxes import nms
from samlet.models.edge_sam.proposals import best_of_levels, flat, suppressed

CHAIN = [[0.0, 0, 10, 10], [2, 0, 12, 10], [4, 0, 14, 10], [6, 0, 16, 10]]


def crowd(number: int, seed: int) -> torch.Tensor:
    draw = np.random.default_rng(seed)
    corner = draw.uniform(0, 30, (number, 2))
    return torch.from_numpy(np.concatenate([corner, corner + draw.uniform(5, 40, (number, 2))], axis=1)).float()


@pytest.mark.parametrize(
    ("boxes", "threshold", "gone"),
    [
        pytest.param([], 0.5, [], id="none"),
        pytest.param(CHAIN[:1], 0.5, [0], id="one"),
        pytest.param(CHAIN[:1] * 3, 0.5, [0, 1, 1], id="three times the same"),
        pytest.param(CHAIN, 0.5, [0, 1, 0, 1], id="what is gone removes nothing"),
        pytest.param(CHAIN, 0.9, [0, 0, 0, 0], id="apart enough"),
        pytest.param([[0, 0, 10, 10], [0, 0, 5, 10]], 0.5, [0, 0], id="the threshold itself is not above it"),
        pytest.param([[3, 3, 3, 3], [3, 3, 3, 3]], 0.5, [0, 0], id="no area"),
    ],
)
def test_what_overlaps_a_better_box_goes(boxes, threshold, gone):
    given = torch.tensor(boxes, dtype=torch.float32).reshape(1, -1, 4)
    assert suppressed(given, threshold)[0].tolist() == [bool(value) for value in gone]


@pytest.mark.parametrize("threshold", [0.2, 0.7])
def test_all_at_once_are_judged_as_one_after_the_other(threshold):
    images = torch.stack([crowd(200, seed) for seed in range(3)])
    for boxes, gone in zip(images, suppressed(images, threshold), strict=True):
        assert nms(boxes, np.arange(200)[::-1], threshold).tolist() == (~gone).nonzero()[:, 0].tolist()
        assert 0 < gone.sum() < 199


def test_values_go_cell_by_cell():
    x = torch.arange(2 * 6 * 2 * 3).reshape(2, 6, 2, 3)
    rows = flat(x, 3)
    assert rows.shape == (2, 2 * 3 * 2, 3)
    assert rows[1, 3].tolist() == x[1, 3:, 0, 1].tolist()


def test_each_level_gives_its_boxes_best_first():
    scores = [torch.tensor([[[[0.0, 2.0]], [[1.0, -1.0]]]]), torch.zeros(1, 2, 1, 1)]
    moves = [torch.zeros(1, 8, 1, 2), torch.zeros(1, 8, 1, 1)]
    starts = [torch.tensor([[0.0, 0, n, n]]).expand(1, 4) for n in (1, 2, 3, 99)]
    starts = [torch.cat(starts), torch.cat(starts[:2])]
    (boxes, found), (others, _) = best_of_levels(scores, moves, starts, torch.add, 32)
    assert boxes[0, :, 2].tolist() == [3, 2, 1, 32]  # of cell 1, of cell 0 twice, of cell 1 cut at the canvas
    torch.testing.assert_close(found[0], torch.tensor([2.0, 1, 0, -1]).sigmoid())
    assert others.shape == (1, 2, 4)
