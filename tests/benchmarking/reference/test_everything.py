"""segment_anything's order of operations and ours find the same masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests import filler
from tests.tiny import tiny_model

from samlet.benchmarking.reference.everything import ReferenceGenerator, _boxes, _run_lengths
from samlet.everything import MaskGenerator
from samlet.geometry import rle
from samlet.predictor import Predictor
from samlet.runtime.torch import TorchBackend


@pytest.mark.parametrize("size_hw", [(60, 90), (400, 130)])
def test_ours_finds_what_the_reference_finds(size_hw):
    model = tiny_model()
    image = (filler.array("image", *size_hw, 3) * 40 + 120).clip(0, 255).astype(np.uint8)
    reference = ReferenceGenerator(model, 2, pred_iou_thresh=-1e9, stability_score_thresh=0.0, box_nms_thresh=0.9)
    ours = MaskGenerator(
        Predictor(TorchBackend(model, model.spec)), 2, pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=0.9
    )
    expected, found = reference.generate(image), ours.generate(image)
    assert len(expected) > 0
    assert [mask.prompt_index for mask in found] == [mask.prompt_index for mask in expected]
    np.testing.assert_allclose(found.iou, expected.iou, atol=1e-4)
    for one, other in zip(found, expected, strict=True):
        assert one.point_xy == other.point_xy
        assert one.stability == pytest.approx(other.stability, abs=5e-3)
        assert rle.iou_matrix([one.rle], [other.rle])[0, 0] > 0.99


def test_run_lengths_and_boxes():
    masks = np.random.default_rng(0).random((4, 5, 7)) > [[[0.5]], [[0.9]], [[1.1]], [[-0.1]]]
    tensor = torch.from_numpy(masks)
    for counts, mask in zip(_run_lengths(tensor), masks, strict=True):
        assert rle.from_counts(counts, (5, 7)) == rle.encode(mask)
    assert _boxes(tensor)[2:].tolist() == [[0, 0, 0, 0], [0, 0, 6, 4]]
