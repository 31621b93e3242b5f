"""Everything mode as a protocol: asked, measured, drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.evaluation.fake import SIDE, SPEC, annotation, predictor, rectangle, sample

from samlet.backend import ArrayMaskLogits
from samlet.evaluation.protocols.everything import Everything, propose
from samlet.evaluation.report.pictures import draw
from samlet.evaluation.run import evaluate_image

EVERYTHING = Everything()


class QuarterBackend:
    """Every click finds the quarter of the image it lies in; the upper ones are surer. Candidates 2 and 3 are bad."""

    name = "quarters"
    spec = SPEC

    def encode(self, pixels):
        return {"image_embeddings": np.zeros((1, 256, 64, 64), np.float32)}

    def decode(self, features, tokens):
        right, low = (tokens.points_xy[:, 0] >= SIDE / 2).T
        iou = np.zeros((len(tokens), 4), np.float32)
        iou[:, 1] = 0.95 - 0.02 * low

        def upscale(rows, columns):
            places = [(128 * right[row], 128 * low[row]) for row in rows]
            masks = np.stack([rectangle(int(x), int(y), int(x) + 128, int(y) + 128) for x, y in places])
            return np.where(masks, np.float32(8), np.float32(-8))

        return ArrayMaskLogits(iou, upscale)


@pytest.fixture
def quarters():
    model = predictor()
    model.backend = QuarterBackend()
    return model


def test_everything_mode_is_measured(quarters) -> None:
    truths = [annotation(128, 0, 256, 128, number=1), replace(annotation(0, 0, 9, 9, number=2), crowd=True)]
    result = evaluate_image(quarters, sample(*truths), EVERYTHING)
    assert [(i.id, i.true_iou, i.recall) for i in result.instances] == [(1, 1.0, (1.0, 1.0, 1.0))]
    assert result.seconds["predict"] > 0


def test_proposals_are_sorted_by_predicted_iou(quarters) -> None:
    masks = propose(quarters, sample().read_image())
    assert [m.iou for m in masks] == pytest.approx([0.95, 0.95, 0.93, 0.93])


def test_the_nearest_mask_is_drawn(quarters) -> None:
    one = sample(annotation(0, 0, 128, 128), annotation(40, 40, 50, 60, number=2))
    [best], [worst] = draw(quarters, [one], [evaluate_image(quarters, one, EVERYTHING)], EVERYTHING)
    assert (best.instance.id, worst.instance.id) == (1, 2)


def test_a_picture_of_nothing_found() -> None:
    blind = predictor(iou=(0.0, 0.1, 0.1, 0.1))
    one = sample(annotation(0, 0, 128, 128))
    [best], _ = draw(blind, [one], [evaluate_image(blind, one, EVERYTHING)], EVERYTHING)
    assert best.instance.true_iou == 0.0
