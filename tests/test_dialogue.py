from dataclasses import dataclass, replace

import numpy as np
import pytest
from tests.fake_backend import IOU, SPEC, FakeBackend

from samlet.backend import ArrayMaskLogits
from samlet.dialogue import answer, turns_of
from samlet.predictor import Predictor
from samlet.prompts import Prompts

PHOTO = np.full((300, 400, 3), 128, np.uint8)  # 0.64 low-resolution pixels each
OBJECT, PART, ELSEWHERE = (40, 40, 80, 80), (80, 50, 100, 70), (150, 40, 170, 100)
IN_OBJECT, IN_PART, IN_ELSEWHERE = (100.0, 90.0), (140.0, 90.0), (250.0, 100.0)  # pixels of the photo


def mask_of(*boxes):
    mask = np.zeros((256, 256), bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


@dataclass
class ScriptedBackend(FakeBackend):
    """Every candidate of the n-th decode is the n-th mask."""

    script: tuple = ()

    def decode(self, features, tokens):
        mask = self.script[len(self.decoded)]
        self.decoded.append((tokens.points_xy, tokens.labels, tokens.mask_hint))
        logits = np.where(mask, 4, -4).astype(np.float32)
        iou = np.tile(np.float32(IOU), (len(tokens), 1))
        return ArrayMaskLogits(iou, lambda rows, _: logits[None].repeat(len(rows), 0))


def asked(prompts, *script):
    """The backend after the dialogue, and its last answer."""
    model = Predictor(ScriptedBackend(script=script))
    answers = answer(model, model.embed(PHOTO), prompts, "iou")
    return model.backend, answers.low_res > 0


def test_a_later_click_changes_the_part_it_lies_in():
    prompts = Prompts.points([IN_OBJECT, IN_PART])
    _, masks = asked(prompts, mask_of(OBJECT), mask_of(OBJECT, PART, ELSEWHERE))
    np.testing.assert_array_equal(masks[0], mask_of(OBJECT, PART))


def test_a_background_click_takes_away_the_part_it_lies_in():
    prompts = Prompts.points([IN_OBJECT, IN_ELSEWHERE], [1, 0])
    _, masks = asked(prompts, mask_of(OBJECT, PART, ELSEWHERE), mask_of(OBJECT))
    np.testing.assert_array_equal(masks[0], mask_of(OBJECT, PART))


def test_the_next_turn_is_shown_the_corrected_answer():
    prompts = Prompts.points([IN_OBJECT, IN_PART, IN_ELSEWHERE])
    everything = mask_of(OBJECT, PART, ELSEWHERE)
    backend, masks = asked(prompts, mask_of(OBJECT), everything, everything)
    hint = backend.decoded[2][2]
    np.testing.assert_array_equal(hint[0] > 0, mask_of(OBJECT, PART))
    np.testing.assert_array_equal(masks[0], everything)


def test_the_first_click_beside_a_box_corrects_the_answer_to_the_box():
    prompts = Prompts.boxes([60, 60, 160, 130], [IN_PART])
    _, masks = asked(prompts, mask_of(OBJECT), mask_of(OBJECT, PART, ELSEWHERE))
    np.testing.assert_array_equal(masks[0], mask_of(OBJECT, PART))


def test_a_hint_is_corrected_by_the_last_of_several_clicks():
    hint = np.where(mask_of(OBJECT), 2.0, -2.0)
    prompts = Prompts.points([IN_OBJECT, IN_PART]).with_mask_hint(hint)
    backend, masks = asked(prompts, mask_of(OBJECT, PART, ELSEWHERE))
    np.testing.assert_array_equal(masks[0], mask_of(OBJECT, PART))
    assert len(backend.decoded) == 1


def test_one_click_with_a_hint_is_answered_as_it_is():
    hint = np.where(mask_of(OBJECT), 2.0, -2.0)
    _, masks = asked(Prompts.points([IN_PART]).with_mask_hint(hint), mask_of(PART, ELSEWHERE))
    np.testing.assert_array_equal(masks[0], mask_of(PART, ELSEWHERE))


@pytest.mark.parametrize(
    ("labels", "turns"),
    [
        ([1], [0]),
        ([0, 1, 1], [1, 0, 2]),
        ([0, 0], [0, 1]),
        ([1, 2, 3], [1, 0, 0]),
        ([2, 3], [0, 0]),
        ([1, 1, -1], [0, 1, 0]),
    ],
)
def test_a_box_comes_first_and_of_the_clicks_a_positive_one(labels, turns):
    assert turns_of(np.array([labels]))[0].tolist() == turns


def test_what_is_asked_at_once_is_one_turn():
    prompts = Prompts.boxes([50, 50, 150, 150], [IN_OBJECT], [1])
    model = Predictor(ScriptedBackend(script=(mask_of(PART),)))
    answers = answer(model, model.embed(PHOTO), prompts, "iou", np.array([True]))
    [(_, labels, hint)] = model.backend.decoded
    assert sorted(labels[0].tolist()) == [1, 2, 3]
    assert hint is None
    np.testing.assert_array_equal(answers.low_res[0] > 0, mask_of(PART))


def test_others_have_their_turns_beside_what_is_asked_at_once():
    prompts = Prompts.stack([Prompts.boxes([50, 50, 150, 150], [IN_OBJECT], [1])] * 2)
    model = Predictor(ScriptedBackend(script=(mask_of(OBJECT), mask_of(OBJECT, PART))))
    answer(model, model.embed(PHOTO), prompts, "iou", np.array([True, False]))
    assert [len(labels) for _, labels, _ in model.backend.decoded] == [2, 1]
    assert [sorted(labels[0].tolist())[-3:] for _, labels, _ in model.backend.decoded] == [[1, 2, 3]] * 2


SMALL_FIRST = {"spec": replace(SPEC, click_size_penalty=1.0), "radii": (150.0, 30.0, 150.0, 200.0)}
CLICK = Prompts.points([IN_OBJECT])
QUESTIONS = {
    "a click": (CLICK, "iou", 0.7),
    "the first of two clicks": (Prompts.points([IN_OBJECT, IN_OBJECT]), "iou", 0.5),
    "a background click": (Prompts.points([IN_OBJECT], [0]), "iou", 0.95),
    "a box": (Prompts.boxes([60, 60, 160, 130]), "iou", 0.95),
    "a click with a hint": (CLICK.with_mask_hint(np.ones((256, 256))), "iou", 0.95),
    "a click, by stability": (CLICK, "stability", 0.9),
}


@pytest.mark.parametrize(("prompts", "select", "iou"), QUESTIONS.values(), ids=QUESTIONS)
def test_a_models_penalty_for_size_chooses_among_all_masks_of_one_click(prompts, select, iou):
    """Its discs of 30 pixels, predicted IoU 0.7, win over those that fill the picture with 0.95."""
    model = Predictor(FakeBackend(**SMALL_FIRST))
    embedding = model.embed(PHOTO)
    assert answer(model, embedding, prompts, select).iou == pytest.approx(iou)


def test_without_a_penalty_the_best_predicted_iou_of_an_ambiguous_prompt_counts():
    model = Predictor(FakeBackend())
    assert answer(model, model.embed(PHOTO), CLICK, "iou").iou == pytest.approx(0.95)


def test_prompts_of_both_kinds_are_chosen_each_by_its_own_rule():
    model = Predictor(FakeBackend(**SMALL_FIRST))
    prompts = Prompts.stack([CLICK, Prompts.boxes([60, 60, 160, 130]), CLICK])
    answers = answer(model, model.embed(PHOTO), prompts, "iou")
    assert answers.iou.tolist() == pytest.approx([0.7, 0.95, 0.7])
    assert (answers.low_res > 0).sum(axis=(1, 2))[0] == pytest.approx(np.pi * 30**2, rel=0.1)
