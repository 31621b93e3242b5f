from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from tests.fake_backend import SPEC, FakeBackend

from samlet.errors import InputError, PromptError
from samlet.geometry.windows import Framing
from samlet.predictor import Predictor
from samlet.prompts import PointLabel, Prompts

PHOTO = np.full((300, 400, 3), 128, np.uint8)
NEAR = Framing(margin=0.1, least_of_box=0.3, least_of_click=0.25, most=0.98)


@dataclass
class CountingBackend(FakeBackend):
    """`encoded` holds the shapes of what was encoded, hints those of the prompts that brought an earlier answer."""

    spec: object = replace(SPEC, look=NEAR)
    encoded: list[tuple] = field(default_factory=list)

    def encode(self, pixels):
        self.encoded.append(pixels.shape)
        return super().encode(pixels)


@pytest.fixture
def model():
    return Predictor(CountingBackend())


def looks(model):
    return len(model.backend.encoded) - 1


def test_neither_refined_nor_cleaned_it_is_the_answer_of_predict(model):
    prompts = Prompts.points([[[200.0, 150.0]], [[90.0, 80.0]]])
    raw = model.predict(model.embed(PHOTO), prompts)
    masks = model.segment(PHOTO, prompts, refine="none", clean=False)
    assert list(masks) == list(raw)
    np.testing.assert_array_equal(masks.low_res_logits, raw.low_res_logits)


def test_a_second_look_encodes_a_window_once(model):
    masks = model.segment(PHOTO, points=[[200, 150]])
    assert looks(model) == 1
    # Both discs have the same radius on their grids, but the window is 100 of 400 pixels wide: their mean is smaller.
    alone = model.segment(PHOTO, points=[[200, 150]], refine="edges")
    assert 0.1 * alone[0].area_px < masks[0].area_px < 0.5 * alone[0].area_px
    assert masks[0].to_array()[150, 200]


@pytest.mark.parametrize(
    ("prompts", "side_px"),
    [
        (Prompts.points([[200.0, 150.0]]), 100),  # a quarter of the photo
        (Prompts.points([[200.0, 150.0], [200.0, 150.0]]), 132),
        (Prompts.boxes([180, 130, 220, 170]), 120),
        (Prompts.boxes([180, 130, 220, 170], [[200.0, 150.0]]), 160),
    ],
)
def test_what_corrects_an_answer_is_looked_at_more_widely_than_the_first_question(model, monkeypatch, prompts, side_px):
    seen = []
    embed = Predictor.embed
    monkeypatch.setattr(Predictor, "embed", lambda self, image: (seen.append(image.shape), embed(self, image))[1])
    model.segment(PHOTO, prompts)
    assert seen[-1] == (side_px, side_px, 3)


@pytest.mark.parametrize("refine", ["none", "edges"])
def test_without_a_look_nothing_is_encoded_again(model, refine):
    model.segment(PHOTO, boxes=[100, 100, 140, 140], refine=refine)
    assert looks(model) == 0


def test_an_object_that_fills_the_photo_is_looked_at_once(model):
    model.segment(PHOTO, boxes=[10, 10, 390, 290])
    assert looks(model) == 0


def test_an_embedding_that_is_there_is_used(model):
    embedding = model.embed(PHOTO)
    model.segment(PHOTO, points=[[200, 150]], embedding=embedding, refine="edges")
    assert looks(model) == 0


def test_objects_that_lie_together_share_a_look(model):
    model.segment(PHOTO, boxes=[[100, 100, 130, 130], [110, 105, 140, 140], [300, 200, 330, 230]])
    assert looks(model) == 2


def test_masks_come_in_the_order_of_the_prompts(model):
    boxes = [[300, 200, 330, 230], [100, 100, 130, 130], [110, 105, 140, 140]]
    masks = model.segment(PHOTO, boxes=boxes)
    assert [mask.prompt_index for mask in masks] == [0, 1, 2]
    for mask, (left, top, _, _) in zip(masks, boxes, strict=True):
        assert mask.to_array()[top, left]


def test_clicks_are_a_dialogue_with_the_last_answer_as_a_hint(model):
    model.segment(PHOTO, points=[[210, 150], [200, 150], [190, 150]], labels=[0, 1, 1], refine="none")
    shown = [labels[0].tolist() for _, labels, _ in model.backend.decoded]
    hints = [hint for _, _, hint in model.backend.decoded]
    assert shown == [[1, -1], [0, 1, -1], [0, 1, 1, -1]]  # a positive click opens, the order of tokens stays
    assert hints[0] is None
    best = model.predict(model.embed(PHOTO), Prompts.points([[200, 150]]))
    assert (hints[1] == best.low_res_logits).all()
    second = Prompts.points([[210, 150], [200, 150]], [0, 1]).with_mask_hint(best.low_res_logits)
    single = model.predict(model.embed(PHOTO), second, candidates="single")
    assert (hints[2] == single.low_res_logits).all()


def test_prompts_of_different_length_keep_their_own_dialogue(model):
    prompts = Prompts.stack([Prompts.points([[200, 150], [90, 80]]), Prompts.points([[90, 80]])])
    together = model.segment(PHOTO, prompts, refine="none")
    alone = [model.segment(PHOTO, prompt, refine="none")[0] for prompt in (_row(prompts, 0), _row(prompts, 1))]
    assert [mask.rle for mask in together] == [mask.rle for mask in alone]


def _row(prompts, row):
    return Prompts(prompts.points_xy[row : row + 1], prompts.labels[row : row + 1])


def test_a_box_is_answered_before_its_clicks(model):
    model.segment(PHOTO, boxes=[100, 100, 130, 130], points=[[115, 115]], refine="none")
    labels = [labels[0].tolist() for _, labels, _ in model.backend.decoded]
    assert labels == [[2, 3], [1, 2, 3]]


def test_the_second_look_at_a_click_shows_it_with_the_box_of_its_answer(model):
    model.segment(PHOTO, points=[[200, 150]])
    (_, first, _), (_, second, hint) = model.backend.decoded
    assert [row.tolist() for row in (first[0], second[0])] == [[1, -1], [1, 2, 3]]
    assert hint is None


def test_a_hint_of_the_user_is_not_replaced(model):
    prompts = Prompts.points([[200, 150], [210, 150]]).with_mask_hint(np.ones((256, 256)))
    model.segment(PHOTO, prompts, refine="none")
    assert len(model.backend.decoded) == 1


def test_clicks_outside_of_the_window_are_left_out_of_the_second_look(model):
    model.segment(PHOTO, boxes=[100, 100, 130, 130], points=[[115, 115], [390, 290]], labels=[1, 0])
    labels = [labels[0].tolist() for _, labels, _ in model.backend.decoded]
    corners = [PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT]
    assert labels[2] == [1, 0, *corners]
    assert labels[-1] == [1, *corners]


def test_every_positive_click_is_in_the_window(model):
    model.segment(PHOTO, points=[[60, 150], [110, 150]])
    points_xy, labels, _ = model.backend.decoded[-1]
    assert labels[0].tolist() == [1, 1, PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT]
    assert (points_xy[0] >= 0).all()


def test_an_empty_answer_stays_empty():
    nothing = Predictor(CountingBackend(radii=(-9.0,) * 4))
    mask = nothing.segment(PHOTO, points=[[200, 150]])[0]
    assert (mask.area_px, mask.stability) == (0, 0)
    assert looks(nothing) == 0


def test_islands_go_unless_they_are_clicked():
    class Islands(CountingBackend):
        def decode(self, *arguments):
            logits = super().decode(*arguments)
            logits.low_res()[:, :, 10:14, 20:24] = 5.0
            return logits

    model = Predictor(Islands())
    island_xy = [34.0, 18.0]  # 400 pixels on 256
    assert model.segment(PHOTO, points=[[300, 200]], refine="none", clean=False)[0].to_array()[18, 34]
    assert not model.segment(PHOTO, points=[[300, 200]], refine="edges")[0].to_array()[18, 34]
    assert not model.segment(PHOTO, points=[[300, 200]], refine="none")[0].to_array()[18, 34]
    assert model.segment(PHOTO, points=[[300, 200], island_xy], refine="none")[0].to_array()[18, 34]


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({}, PromptError, "nothing to segment: give prompts, points=… or boxes=…"),
        ({"prompts": Prompts.points([[1, 1]]), "boxes": [0, 0, 5, 5]}, PromptError, "not both"),
        ({"prompts": [[1, 1]]}, PromptError, "must be Prompts, not list: or name points=…"),
        ({"points": [[400, 10]]}, PromptError, "outside the image, which is 400 x 300"),
        ({"points": [[1, 1]], "refine": "more"}, InputError, '"auto", "none", "edges" or "look"'),
    ],
)
def test_what_cannot_be_answered_is_said(model, arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        model.segment(PHOTO, **arguments)


def test_the_embedding_of_another_image_is_refused(model):
    embedding = model.embed(PHOTO[:200])
    with pytest.raises(InputError, match="400 x 200 pixels but this one is 400 x 300"):
        model.segment(PHOTO, points=[[1, 1]], embedding=embedding)


def test_a_large_photo_takes_the_memory_of_its_bands(model):
    large = np.full((1500, 2000, 3), 100, np.uint8)
    masks = model.segment(large, boxes=[200, 200, 1800, 1300])
    assert masks[0].size_hw == (1500, 2000)
    assert masks[0].area_px > 0


@pytest.mark.parametrize("refine", ["none", "edges"])
def test_smooth_is_a_part_of_the_clean_up(model, refine):
    plain, smooth = (model.segment(PHOTO, points=[[200, 150]], refine=refine, smooth=share) for share in (0, 0.2))
    assert 0 < np.logical_xor(plain[0].to_array(), smooth[0].to_array()).sum() < 0.3 * plain[0].area_px


@pytest.mark.parametrize(
    ("options", "words"),
    [({"smooth": 0.3}, "smooth is 0.3"), ({"smooth": float("nan")}, "nan"), ({"smooth": 0.1, "clean": False}, "clean")],
)
def test_smooth_within_reason(model, options, words):
    with pytest.raises(InputError, match=words):
        model.segment(PHOTO, points=[[200, 150]], **options)
