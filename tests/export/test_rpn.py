"""A model with proposals exports them: features of its encoder graph, equal to those in torch."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from tests import filler
from tests.small_rpn import small_rpn

from samlet.errors import ExportError
from samlet.export.graphs import plan_graphs, write_graph
from samlet.geometry.box_prior import BOXES, SCORES
from samlet.runtime.artifact import ENCODER


@pytest.mark.slow
@pytest.mark.parametrize("head", ["efficient_det", "centernet"])
def test_the_encoder_graph_gives_the_proposals(tmp_path, head):
    model = filler.fill_(small_rpn(head))
    write_graph(plan_graphs(model)[ENCODER], tmp_path / ENCODER)
    session = onnxruntime.InferenceSession(tmp_path / ENCODER)
    pixels = filler.array("small", 2, 3, 128, 128)
    arrays = session.run(None, {"pixels": pixels})
    assert tuple(output.name for output in session.get_outputs()) == model.feature_names
    with torch.no_grad():
        features = {name: tensor.numpy() for name, tensor in model.features(torch.from_numpy(pixels)).items()}
    theirs = dict(zip(model.feature_names, arrays, strict=True))
    embedding = features["image_embeddings"]
    assert np.abs(theirs["image_embeddings"] - embedding).max() < 1e-4 * embedding.std()
    np.testing.assert_allclose(theirs[SCORES], features[SCORES], atol=1e-5)
    # Rounding swaps neighbors of nearly one score: compare those that no neighbor comes near.
    gaps = np.abs(np.diff(features[SCORES], axis=1))
    alone = (np.pad(gaps, ((0, 0), (1, 0))) > 1e-5) & (np.pad(gaps, ((0, 0), (0, 1))) > 1e-5)
    assert alone.sum() > 20
    np.testing.assert_allclose(theirs[BOXES][alone], features[BOXES][alone], atol=0.05)


def test_the_head_that_compares_its_proposals_is_not_exported():
    with pytest.raises(ExportError, match=r"small-rpn drops overlapping proposals in a loop, .* run it with torch"):
        plan_graphs(small_rpn("rpn"))
