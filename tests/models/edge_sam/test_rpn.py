"""Proposals give the official numbers, and travel in the features with the embedding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests import filler, parity
from tests.exact import in_float64
from tests.small_rpn import checked_features, small_rpn

from samlet.geometry.box_prior import BOXES, SCORES, box_of_click
from samlet.models import create
from samlet.models.edge_sam.proposals import BEST_PER_LEVEL
from samlet.models.edge_sam.rpn import EfficientDetHead
from samlet.predictor import Predictor
from samlet.prompts import Prompts
from samlet.runtime.torch import TorchBackend
from samlet.tokens import PromptTokens

NUMBERS = parity.numbers("edge-sam-rpn")
# Random weights make maps of a std of 1e7: the official float32 is 3e-5 of it from exact after the encoder, 7e-5 after
# the head. Ours is exact here.
UNSCALED = 5


@pytest.fixture(scope="module")
def model():
    return filler.fill_(create("edge-sam-rpn")).requires_grad_(False)


@pytest.fixture(scope="module")
def from_maps(model):
    shapes = (("f1", 1, 96, 128, 128), ("f2", 1, 192, 64, 64), ("f3", 1, 384, 32, 32))
    levels = model.fpn([torch.from_numpy(filler.array(*shape)) for shape in shapes])
    return levels, *model.rpn_head(levels)


def outputs(levels, scores, offsets):
    named = {f"fpn{i}": x for i, x in enumerate(levels)}
    named |= {f"head0_level{i}": x for i, x in enumerate(scores)}
    return named | {f"head1_level{i}": x for i, x in enumerate(offsets)}


def test_neck_and_head(from_maps):
    official = NUMBERS["from_maps"]["outputs"]
    ours = outputs(*from_maps)
    assert ours.keys() == official.keys()
    assert parity.wrong({name: (value, official[name]) for name, value in ours.items()}) == {}


@pytest.mark.slow
def test_neck_and_head_on_the_maps_of_the_encoder(model):
    exact = in_float64(model)
    maps = exact.maps(torch.from_numpy(filler.array("encoder", 1, 3, 1024, 1024)).double())
    levels = exact.fpn(maps[2:])
    ours = outputs(levels, *exact.rpn_head(levels)) | {f"encoder_out{i}": x for i, x in enumerate(maps[2:])}
    official = NUMBERS["from_pixels"]["outputs"]
    assert ours.keys() == official.keys()
    errors = {name: parity.difference(value, official[name]) for name, value in ours.items()}
    assert {name: error for name, error in errors.items() if not error <= UNSCALED} == {}


def test_proposals(model, from_maps):
    """Scores, the best boxes, and all boxes of the three coarse levels.

    In the fine ones hundreds of anchors have one score, and which of them stay is the sort's own affair.
    """
    _, scores, offsets = from_maps
    official = NUMBERS["from_maps"]["proposals"]
    boxes_xyxy, found = (tensor[0].numpy() for tensor in model.rpn_head.proposals(scores, offsets, 1024))
    assert len(found) == official["count"]
    assert parity.wrong({"scores": (found, official["scores"])}) == {}
    np.testing.assert_allclose(boxes_xyxy[:5], official["first"], atol=1e-3)
    values = np.linspace(0, boxes_xyxy.size - 1, 64).round().astype(int)
    coarse = values >= 4 * 2 * BEST_PER_LEVEL
    samples = np.array(official["bboxes"]["samples"])
    np.testing.assert_allclose(boxes_xyxy.ravel()[values[coarse]], samples[coarse], atol=2e-3)
    assert coarse.sum() == 34


def test_boxes_stay_on_the_canvas_and_one_without_area_has_no_score():
    logits = [torch.zeros(1, 9, side, side) for side in (16, 8, 4, 2, 1)]
    away = [torch.zeros(1, 36, side, side) for side in (16, 8, 4, 2, 1)]
    away[0][:, 0::4] = 1000.0  # every box of the finest level far to the right
    boxes, scores = EfficientDetHead().proposals(logits, away, 128)
    assert boxes.min() >= 0
    assert boxes.max() <= 128
    fine = min(BEST_PER_LEVEL, 16 * 16 * 9)
    assert scores[0, :fine].max() == 0
    assert torch.all(scores[0, fine:] == 0.5)


def test_an_untrained_head_finds_nothing_anywhere():
    scores, _ = create("edge-sam-rpn").rpn_head([torch.randn(1, 64, side, side) for side in (16, 8, 4, 2, 1)])
    assert max(level.sigmoid().max().item() for level in scores) < 0.1


@pytest.fixture(scope="module")
def small():
    return filler.fill_(small_rpn()).requires_grad_(False)


def test_features_are_the_embedding_and_proposals_in_prompt_pixels(small):
    pixels, features = checked_features(small)
    assert features[BOXES].max() == 1024
    arrays = TorchBackend(small, small.spec).encode(pixels.numpy())
    assert arrays.keys() == features.keys()


def test_a_click_gets_the_masks_of_the_click_and_its_box(small):
    backend = TorchBackend(small, small.spec)
    predictor = Predictor(backend)
    embedding = predictor.embed(filler.image(96, 128))
    click = np.float32([[64, 48]]) * 8
    box = box_of_click(click[0], embedding.features[BOXES][0], embedding.features[SCORES][0])
    assert box is not None
    tokens = np.concatenate([click, box.reshape(2, 2)])[None].astype(np.float32)
    expected = backend.decode(embedding.features, PromptTokens(tokens, np.array([[1, 2, 3]])))
    ours = predictor.decode(embedding, Prompts.points([[64, 48]]))
    np.testing.assert_array_equal(ours.iou, expected.iou)
    plain = predictor.decode(embedding, Prompts.points([[64, 48]]), box_prior=False)
    assert np.abs(plain.iou - expected.iou).max() > 1e-4
