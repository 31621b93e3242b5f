from __future__ import annotations

import numpy as np
import pytest
from tests.fake_backend import FakeBackend

from samlet.errors import PromptError
from samlet.geometry.rle import encode
from samlet.labeling.asking import Everything, Prompted
from samlet.labeling.items import Item, ObjectPrompt
from samlet.predictor import Predictor

IMAGE = np.zeros((256, 256, 3), np.uint8)
INSIDE = np.zeros((256, 256), bool)
INSIDE[40:80, 30:90] = True
BOX = ObjectPrompt(box_xyxy=(10, 20, 60, 90), label="box")
CLICK = ObjectPrompt(points_xy=((100, 100),), point_labels=(1,), label="click")
CLICKS_IN_BOX = ObjectPrompt(box_xyxy=(10, 20, 60, 90), points_xy=((30, 30), (50, 50)), point_labels=(1, 0))
MASK = ObjectPrompt(mask=encode(INSIDE), label="mask")


def ask(*objects, how=None):
    backend = FakeBackend()
    predictor = Predictor(backend)
    answer = (how or Prompted(refine="none")).answer(predictor, Item("a", "a", prompts=objects), IMAGE, None)
    return backend, *answer


def test_each_object_is_answered_in_its_place_and_keeps_its_label():
    _, masks, labels = ask(MASK, BOX, CLICK, CLICKS_IN_BOX)
    assert labels == ("mask", "box", "click", None)
    assert [mask.prompt_index for mask in masks] == [0, 1, 2, 3]
    assert masks[2].to_array()[100, 100]


def test_objects_without_a_mask_are_asked_together_as_one_by_one():
    _, together, _ = ask(BOX, CLICK, CLICKS_IN_BOX)
    alone = [ask(each)[1][0] for each in (BOX, CLICK, CLICKS_IN_BOX)]
    assert [mask.rle for mask in together] == [mask.rle for mask in alone]


def test_an_earlier_mask_is_its_box_and_a_hint():
    backend, _, _ = ask(MASK)
    (points_xy, labels, hint) = backend.decoded[0]
    assert labels.tolist() == [[2, 3]]
    np.testing.assert_allclose(points_xy[0], np.array([[30, 40], [90, 80]]) * 4)  # the prompt canvas has 1024
    assert (hint.shape, hint.max(), hint.min()) == ((1, 256, 256), 10, -10)


def test_no_objects_no_masks_and_no_run_of_the_model():
    backend, masks, labels = ask()
    assert (len(masks), masks.size_hw, labels, backend.decoded) == (0, (256, 256), (), [])


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (None, "No prompts came with this image"),
        ((ObjectPrompt(),), "at least one point or one box"),
        ((ObjectPrompt(box_xyxy=(0, 0, 400, 400)),), "lies outside the image, which is 256 x 256"),
        ((ObjectPrompt(mask=encode(INSIDE[:100])),), r"A mask of \[100, 256\] pixels does not fit"),
        ((ObjectPrompt(mask=encode(np.zeros((256, 256), bool))),), "empty or inverted"),
    ],
)
def test_prompts_that_make_no_sense(objects, message):
    with pytest.raises(PromptError, match=message):
        Prompted().answer(Predictor(FakeBackend()), Item("a", "a", prompts=objects), IMAGE, None)


def test_everything_is_what_the_generator_finds():
    how = Everything({"points_per_side": 2, "pred_iou_thresh": 0.1, "stability_score_thresh": 0.1, "clean": True})
    _, masks, labels = ask(how=how)
    assert len(masks) >= 4
    assert labels == (None,) * len(masks)
    assert how.to_json() == {"what": "everything", **how.settings}


def test_a_question_says_all_that_its_answers_depend_on():
    assert Prompted("edges", False, "stability").to_json() == {
        "what": "prompts",
        "refine": "edges",
        "clean": False,
        "select": "stability",
    }
