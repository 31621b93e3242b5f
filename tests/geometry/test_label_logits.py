from __future__ import annotations

import numpy as np
import pytest

from samlet.geometry import label_logits
from samlet.geometry.label_logits import bicubic_weights, labels_of


def upscaled(logits, size_hw):
    rows, columns = (bicubic_weights(side, to) for side, to in zip(logits.shape[1:], size_hw, strict=True))
    return rows @ logits @ columns.T


@pytest.mark.parametrize("size_hw", [(40, 56), (97, 33), (5, 7), (3, 2)])
def test_the_largest_of_the_upscaled_logits_wins(size_hw, monkeypatch):
    logits = np.random.default_rng(0).normal(size=(4, 5, 7)).astype(np.float32)
    labels = labels_of(logits, size_hw)
    assert labels.dtype == np.uint16
    assert np.mean(labels != upscaled(logits, size_hw).argmax(0)) < 1e-3  # a tie here and there
    monkeypatch.setattr(label_logits, "BAND_VALUES", 1)  # a row at a time
    np.testing.assert_array_equal(labels_of(logits, size_hw), labels)


def test_of_equal_classes_the_first_wins():
    assert not labels_of(np.zeros((3, 2, 2), np.float32), (8, 8)).any()


def test_weights_add_up_to_one_and_are_torchs():
    weights = bicubic_weights(5, 17)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    torch = pytest.importorskip("torch")
    line = torch.randn(1, 1, 1, 5)
    resized = torch.nn.functional.interpolate(line, (1, 17), mode="bicubic")
    np.testing.assert_allclose(line[0, 0, 0].numpy() @ weights.T, resized[0, 0, 0], atol=1e-5)
