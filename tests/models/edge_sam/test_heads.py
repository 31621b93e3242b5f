"""EdgeSAM's two other heads give the official numbers, and their proposals go the way of `efficient_det`'s."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests import filler, parity
from tests.small_rpn import checked_features, small_rpn

from samlet.errors import ModelError
from samlet.geometry.box_prior import BOXES, SCORES, box_of_click
from samlet.geometry.boxes import nms
from samlet.models import load_checkpoint
from samlet.models.cost import count_encoder_macs, count_parameters
from samlet.models.creation import build, skeleton
from samlet.models.edge_sam.proposals import BEST_PER_LEVEL
from samlet.models.edge_sam.spec import OTHER_HEADS
from samlet.models.registry import get_spec
from samlet.predictor import Predictor
from samlet.prompts import Prompts
from samlet.runtime.torch import TorchBackend
from samlet.spec import ModelSpec
from samlet.tokens import PromptTokens

HEADS = ("rpn", "centernet")
NUMBERS = parity.numbers("edge-sam-heads")["heads"]
MAPS = (("f1", 1, 96, 128, 128), ("f2", 1, 192, 64, 64), ("f3", 1, 384, 32, 32))
MAX_IOU, MAX_PROPOSALS = 0.7, 1000  # of EdgeSAM's `forward_rpn`
THRESHOLDS = {"thr0.05_no_nms": 0.05, "thr0.1_no_nms": 0.1, "thr0.05_nms": 0.05}


@pytest.fixture(scope="module", params=HEADS)
def head(request):
    return request.param


@pytest.fixture(scope="module")
def small(head):
    """Neck and head of the official size beside a small encoder."""
    return filler.fill_(small_rpn(head)).requires_grad_(False)


@pytest.fixture(scope="module")
def from_maps(small):
    levels = small.fpn([torch.from_numpy(filler.array(*shape)) for shape in MAPS])
    return levels, *small.rpn_head(levels)


@pytest.fixture(scope="module")
def found(small, from_maps):
    """Boxes [K, 4] and scores [K] on the official canvas."""
    return tuple(tensor[0].numpy() for tensor in small.rpn_head.proposals(*from_maps[1:], 1024))


def test_names_and_shapes_are_official(head, small):
    state = small.state_dict()
    ours = {name: list(value.shape) for name, value in state.items() if name.startswith(("fpn.", "rpn_head."))}
    assert ours == NUMBERS[head]["manifest"]
    assert count_parameters(small.fpn) + count_parameters(small.rpn_head) == NUMBERS[head]["parameters"]


def test_neck_and_head(head, from_maps):
    levels, scores, moves = from_maps
    ours = {f"fpn{i}": x for i, x in enumerate(levels)}
    ours |= {f"head0_level{i}": x for i, x in enumerate(scores)} | {f"head1_level{i}": x for i, x in enumerate(moves)}
    official = NUMBERS[head]["outputs"]
    assert ours.keys() == official.keys()
    assert parity.wrong({name: (value, official[name]) for name, value in ours.items()}) == {}


@pytest.mark.parametrize("case", THRESHOLDS)
def test_proposals(head, found, case):
    """Those above a score; `rpn` has left out neighbors already, for the others the official code does if asked."""
    boxes_xyxy, scores = (array[found[1] > THRESHOLDS[case]] for array in found)
    if case == "thr0.05_nms" and head == "centernet":
        chosen = nms(boxes_xyxy, scores, MAX_IOU)[:MAX_PROPOSALS]
        boxes_xyxy, scores = boxes_xyxy[chosen], scores[chosen]
    official = NUMBERS[head]["proposals"][case]
    assert len(scores) == official["count"]
    assert parity.wrong({"boxes": (boxes_xyxy, official["bboxes"]), "scores": (scores, official["scores"])}) == {}
    np.testing.assert_allclose(boxes_xyxy[:5], official["first"], atol=1e-3)


def test_boxes_stay_on_the_canvas_and_one_without_area_has_no_score():
    head = small_rpn("centernet").rpn_head
    sides = (16, 8, 4, 2, 1)
    logits, far = ([torch.full((1, n, side, side), value) for side in sides] for n, value in ((1, 0.0), (4, 1e4)))
    far[0][:] = 0
    boxes, scores = head.proposals(logits, far, 128)
    assert boxes.shape == (1, 341, 4)
    assert boxes[0, 256:].unique(dim=0).tolist() == [[0, 0, 128, 128]]
    assert scores[0, :256].max() == 0
    assert torch.all(scores[0, 256:] == 0.5)


def test_of_equal_boxes_one_a_level_has_a_score():
    head = small_rpn("rpn").rpn_head
    sides = (16, 8, 4, 2, 1)
    logits, huge = ([torch.full((1, n, side, side), value) for side in sides] for n, value in ((3, 0.0), (12, 99.0)))
    for level in huge:
        level[:, 0::4] = level[:, 1::4] = 0
    boxes, scores = head.proposals(logits, huge, 128)
    assert boxes.shape == (1, 1000, 4)
    assert scores[0].tolist() == [0.5] * 5 + [0] * 995
    assert boxes[0, :5].tolist() == [[0, 0, 128, 128]] * 5


def test_a_level_gives_its_best_only(head, found):
    most = {"rpn": MAX_PROPOSALS, "centernet": 2 * BEST_PER_LEVEL + 32 * 32 + 16 * 16 + 8 * 8}
    assert len(found[1]) == most[head]


def test_features_are_the_embedding_and_proposals_in_prompt_pixels(small):
    pixels, features = checked_features(small)
    assert 512 < features[BOXES].max() <= 1024
    alone = [small.features(image[None]) for image in pixels]
    torch.testing.assert_close(features[SCORES], torch.cat([of_image[SCORES] for of_image in alone]))


def test_a_click_gets_the_masks_of_the_click_and_its_box(small):
    backend = TorchBackend(small, small.spec)
    predictor = Predictor(backend)
    embedding = predictor.embed(filler.image(96, 128))
    boxes, scores = embedding.features[BOXES][0], embedding.features[SCORES][0]
    sides = (boxes[:, 2:] - boxes[:, :2]) * (scores[:, None] > 0)
    large = boxes[sides.min(axis=1).argmax()]
    x, y = ((large[:2] + large[2:]) / 16).round().tolist()
    click = np.array([[x, y]], np.float32) * 8
    box = box_of_click(click[0], boxes, scores)
    assert box is not None
    tokens = np.concatenate([click, box.reshape(2, 2)])[None].astype(np.float32)
    expected = backend.decode(embedding.features, PromptTokens(tokens, np.array([[1, 2, 3]])))
    ours = predictor.decode(embedding, Prompts.points([[x, y]]))
    np.testing.assert_array_equal(ours.iou, expected.iou)
    plain = predictor.decode(embedding, Prompts.points([[x, y]]), box_prior=False)
    assert np.abs(plain.iou - expected.iou).max() > 1e-4


@pytest.mark.parametrize("word", ["retina", "", "efficient-det"])
def test_another_head_is_refused(word):
    with pytest.raises(ModelError, match="that proposes regions: use efficient_det, rpn, centernet") as caught:
        small_rpn(word)
    assert f'"{word}"' in str(caught.value)


@pytest.mark.parametrize(("spec", "head"), [*zip(OTHER_HEADS, HEADS, strict=True)], ids=HEADS)
def test_a_name_stands_for_what_the_official_checkpoint_holds(spec: ModelSpec, head: str):
    assert get_spec(spec.name) is spec
    assert ModelSpec.from_json(spec.to_json()) == spec
    model = skeleton(spec.name)
    ours = {name: list(value.shape) for name, value in model.state_dict().items()}
    assert ours == parity.numbers("edge-sam")["manifest"] | NUMBERS[head]["manifest"]
    assert count_parameters(model) == spec.parameters


@pytest.mark.slow
@pytest.mark.parametrize("spec", OTHER_HEADS, ids=lambda spec: spec.name)
def test_what_they_cost(spec: ModelSpec):
    """On weights, not on a skeleton: when no box is suppressed any more is not known without numbers."""
    assert count_encoder_macs(build(spec)) == spec.encoder_macs


def test_a_checkpoint_loads(tmp_path, head, small):
    torch.save(small.state_dict(), tmp_path / "edge_sam_model_rpn.pth")
    model = small_rpn(head)
    load_checkpoint(model, tmp_path / "edge_sam_model_rpn.pth")
    assert all(torch.equal(value, small.state_dict()[name]) for name, value in model.state_dict().items())
