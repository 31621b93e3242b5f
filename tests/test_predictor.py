from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image
from tests.fake_backend import IOU, FakeBackend

from samlet.backend import Embedding
from samlet.classes import ClassList
from samlet.errors import ImageError, InputError, ModelError, PromptError
from samlet.everything import MaskGenerator
from samlet.geometry.box_prior import BOXES, SCORES
from samlet.models.registry import get_spec
from samlet.predictor import Predictor
from samlet.prompts import PointLabel, Prompts

PICTURE = np.random.default_rng(0).integers(0, 255, (120, 200, 3), np.uint8)


@pytest.fixture
def backend():
    return FakeBackend()


@pytest.fixture
def model(backend):
    return Predictor(backend)


@pytest.fixture
def embedding(model):
    return model.embed(PICTURE)


class TestEmbed:
    def test_array_and_path_give_the_same(self, model, embedding, tmp_path):
        Image.fromarray(PICTURE).save(tmp_path / "picture.png")
        from_path = model.embed(tmp_path / "picture.png")
        assert from_path.frame == embedding.frame
        np.testing.assert_array_equal(from_path.features["image_embeddings"], embedding.features["image_embeddings"])

    def test_it_knows_its_frame_and_model(self, embedding):
        assert embedding.frame.size_hw == (120, 200)
        assert (embedding.frame.canvas, embedding.frame.prompt_canvas) == (768, 1024)
        assert embedding.model == "efficientvit-sam-b0"

    def test_a_missing_file_is_an_image_error(self, model, tmp_path):
        with pytest.raises(ImageError, match=r"nothing\.jpg"):
            model.embed(tmp_path / "nothing.jpg")

    def test_many_are_encoded_a_batch_at_a_time(self, model, backend, embedding, monkeypatch):
        pictures = [PICTURE[: 120 - 10 * number] for number in range(5)]
        encode, batches = backend.encode, []
        monkeypatch.setattr(backend, "encode", lambda pixels: batches.append(len(pixels)) or encode(pixels))
        embeddings = model.embed_many(iter(pictures), batch_size=2)
        assert batches == [2, 2, 1]
        assert [each.frame.size_hw for each in embeddings] == [picture.shape[:2] for picture in pictures]
        for ours, picture in zip(embeddings, pictures, strict=True):
            alone = model.embed(picture).features["image_embeddings"]
            np.testing.assert_array_equal(ours.features["image_embeddings"], alone)

    def test_no_images_are_no_embeddings(self, model):
        assert model.embed_many([]) == []

    def test_a_batch_of_none_is_refused(self, model):
        with pytest.raises(InputError, match="batch_size is 0"):
            model.embed_many([PICTURE], batch_size=0)


class TestPredict:
    def test_the_best_is_the_candidate_with_the_highest_predicted_iou(self, model, embedding, backend):
        masks = model.predict(embedding, Prompts.points([[100, 60]]))
        assert len(masks) == 1
        assert masks[0].iou == pytest.approx(IOU[2])
        assert masks.low_res_logits.shape == (1, 256, 256)
        assert backend.upscaled == [1]  # what is not an answer is not upscaled

    def test_the_mask_lies_where_the_click_is(self, model, embedding):
        mask = model.predict(embedding, Prompts.points([[150, 60]]))[0]
        array = mask.to_array()
        assert array.shape == (120, 200)
        rows, columns = np.nonzero(array)
        assert columns.mean() == pytest.approx(149.5, abs=1)
        assert rows.mean() == pytest.approx(59.5, abs=1)
        radius_px = 16 * 4 * 200 / 1024  # the fake's disc, from the 256 grid to image pixels
        assert array.sum() == pytest.approx(np.pi * radius_px**2, rel=0.05)

    @pytest.mark.parametrize(
        ("candidates", "ious", "rows"),
        [
            ("best", [IOU[2]] * 2, [0, 1]),
            ("multimask", list(IOU[1:]) * 2, [0, 0, 0, 1, 1, 1]),
            ("single", [IOU[0]] * 2, [0, 1]),
            ("every", list(IOU) * 2, [0] * 4 + [1] * 4),
        ],
    )
    def test_candidates_of_two_prompts(self, model, embedding, candidates, ious, rows):
        masks = model.predict(embedding, Prompts.points([[[40, 40]], [[150, 60]]]), candidates=candidates)
        assert masks.iou.tolist() == pytest.approx(ious)
        assert [mask.prompt_index for mask in masks] == rows
        assert len(masks.low_res_logits) == len(rows)

    @pytest.mark.parametrize(
        ("prompts", "ambiguous", "expected"),
        [
            (Prompts.points([[100, 60], [90, 50]], [1, 0]), None, IOU[0]),
            (Prompts.points([[100, 60], [90, 50]], [1, 0]), True, IOU[2]),
            (Prompts.points([[100, 60]]), None, IOU[2]),
            (Prompts.points([[100, 60]]), False, IOU[0]),
            (Prompts.boxes([10, 10, 90, 90], [[20, 20], [30, 30]]), None, IOU[2]),
        ],
    )
    def test_several_clicks_leave_no_doubt(self, model, embedding, prompts, ambiguous, expected):
        assert model.predict(embedding, prompts, ambiguous=ambiguous).iou.tolist() == pytest.approx([expected])

    def test_a_box_that_overhangs_reaches_the_backend_clipped(self, model, embedding, backend):
        model.predict(embedding, Prompts.boxes([-0.6, 10, 200.6, 120]))
        np.testing.assert_allclose(backend.decoded[-1][0][0], [[0, 51.2], [1024, 614]], rtol=1e-3)

    def test_a_model_for_another_task_is_no_predictor(self, backend):
        backend.spec = replace(backend.spec, task="classification", classes=ClassList("two", ("cat", "dog")))
        with pytest.raises(ModelError, match="efficientvit-sam-b0 is a model for classification"):
            Predictor(backend)

    @pytest.mark.parametrize(("earlier", "now"), [("all", "multimask"), ("four", "every")])
    def test_words_of_earlier_versions_are_understood(self, model, embedding, earlier, now):
        click = Prompts.points([[40, 40]])
        with pytest.warns(DeprecationWarning, match=f'candidates="{now}"'):
            masks = model.predict(embedding, click, candidates=earlier)
        np.testing.assert_array_equal(masks.iou, model.predict(embedding, click, candidates=now).iou)

    @pytest.mark.parametrize(("radii", "best"), [((16, 8, 16, 32), 3), ((40, 8, 16, 32), 0)])
    def test_the_best_by_stability_is_the_most_stable_of_all_four(self, backend, radii, best):
        backend.radii = radii  # the larger a disc, the less of it is rim
        model = Predictor(backend)
        masks = model.predict(model.embed(PICTURE), Prompts.points([[[100, 60]], [[90, 50]]]), select="stability")
        assert masks.iou.tolist() == pytest.approx([IOU[best]] * 2)
        assert masks[0].stability == pytest.approx(((radii[best] - 1) / (radii[best] + 1)) ** 2, abs=0.03)

    def test_stability_is_measured_at_image_size(self, model, embedding):
        mask = model.predict(embedding, Prompts.points([[100, 60]]))[0]
        assert mask.stability == pytest.approx((15 / 17) ** 2, abs=0.03)  # the fake's logits fall by 1 a low-res pixel

    def test_the_backend_gets_scaled_tokens_with_padding(self, model, embedding, backend):
        model.predict(embedding, Prompts.points([[100, 60]], [1]))
        points_xy, labels, hint = backend.decoded[-1]
        np.testing.assert_allclose(points_xy, [[[512, 60 * 614 / 120], [0, 0]]], rtol=1e-6)
        assert points_xy.dtype == np.float32
        assert labels.tolist() == [[PointLabel.FOREGROUND, PointLabel.PADDING]]
        assert hint is None

    def test_a_mask_hint_reaches_the_backend(self, model, embedding, backend):
        hint = np.ones((1, 256, 256), np.float32)
        model.predict(embedding, Prompts.points([[100, 60]]).with_mask_hint(hint))
        np.testing.assert_array_equal(backend.decoded[-1][2], hint)

    def test_a_mask_hint_of_another_size_is_refused(self, model, embedding):
        with pytest.raises(PromptError, match=r"\[1, 64, 64\].*\[1, 256, 256\]"):
            model.predict(embedding, Prompts.points([[100, 60]]).with_mask_hint(np.zeros((64, 64))))

    def test_a_prompt_outside_the_image_is_refused(self, model, embedding):
        with pytest.raises(PromptError, match="201"):
            model.predict(embedding, Prompts.points([[201, 60]]))

    def test_another_models_embedding_is_refused(self, embedding):
        other = Predictor(replace(FakeBackend(), spec=get_spec("mobile-sam")))
        with pytest.raises(InputError, match=r"'efficientvit-sam-b0'.*'mobile-sam'"):
            other.predict(embedding, Prompts.points([[100, 60]]))

    @pytest.mark.parametrize("choice", [{"candidates": "worst"}, {"select": "worst"}])
    def test_an_unknown_choice_is_refused(self, model, embedding, choice):
        with pytest.raises(InputError, match=f"{next(iter(choice))} is 'worst'"):
            model.predict(embedding, Prompts.points([[100, 60]]), **choice)


def test_eight_threads_get_the_masks_of_one(model):
    pictures = [np.roll(PICTURE, shift, axis=1) for shift in range(8)]
    clicks = [Prompts.points([[[10 + 20 * i, 20 + 10 * i]], [[100, 60]]]) for i in range(8)]

    def segment(i):
        return model.predict(model.embed(pictures[i]), clicks[i], candidates="multimask").to_array()

    alone = [segment(i) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(segment, list(range(8)) * 4))
    for i, masks in enumerate(together):
        np.testing.assert_array_equal(masks, alone[i % 8])


class TestBoxPrior:
    """A model that proposes regions: its encoder's features hold them, so the embedding does."""

    @pytest.fixture
    def proposing(self):
        return Predictor(ProposingBackend())

    def test_a_click_reaches_the_backend_with_its_box(self, proposing):
        embedding = proposing.embed(PICTURE)
        mask = proposing.predict(embedding, Prompts.points([[100, 60]]))
        points_xy, labels, _ = proposing.backend.decoded[-1]
        assert labels.tolist() == [[1, 2, 3]]
        assert points_xy[0, 1:].ravel().tolist() == ProposingBackend.BOX
        assert len(mask) == 1

    def test_a_click_with_a_hint_is_left_alone(self, proposing):
        hint = np.ones((1, 256, 256), np.float32)
        proposing.predict(proposing.embed(PICTURE), Prompts.points([[100, 60]]).with_mask_hint(hint))
        assert proposing.backend.decoded[-1][1].tolist() == [[1, -1]]

    def test_it_can_be_left_out(self, proposing):
        proposing.decode(proposing.embed(PICTURE), Prompts.points([[100, 60]]), box_prior=False)
        assert proposing.backend.decoded[-1][1].tolist() == [[1, -1]]

    def test_everything_mode_leaves_it_out(self, proposing):
        MaskGenerator(proposing, points_per_side=2).generate(PICTURE)
        assert all((labels == [1, -1]).all() for _, labels, _ in proposing.backend.decoded)

    def test_proposals_are_saved_with_the_embedding(self, proposing, tmp_path):
        proposing.embed(PICTURE).save(tmp_path / "embedding.npz")
        proposing.predict(Embedding.load(tmp_path / "embedding.npz"), Prompts.points([[100, 60]]))
        assert proposing.backend.decoded[-1][1].tolist() == [[1, 2, 3]]


class ProposingBackend(FakeBackend):
    BOX: ClassVar = [400.0, 200.0, 700.0, 500.0]

    def encode(self, pixels):
        return {**super().encode(pixels), BOXES: np.float32([[self.BOX]]), SCORES: np.float32([[0.7]])}


def test_short_words_for_a_predictor_and_an_embedding():
    model = Predictor(FakeBackend())
    assert repr(model) == "Predictor('efficientvit-sam-b0', backend 'fake')"
    embedding = model.embed(np.zeros((30, 40, 3), np.uint8))
    assert repr(embedding) == "Embedding(an image of 40 x 30 pixels, by 'efficientvit-sam-b0')"


def test_the_embedding_of_other_weights_of_the_same_model_is_refused():
    image, prompts = np.zeros((30, 40, 3), np.uint8), Prompts.points([[5, 5]])
    first, second, unknown = (Predictor(FakeBackend(), weights) for weights in ("a" * 64, "b" * 64, None))
    with pytest.raises(InputError, match="other weights of 'efficientvit-sam-b0' \\(aaaaaaaaaaaa…\\)"):
        second.predict(first.embed(image), prompts)
    for maker, asked in ((first, first), (unknown, first), (first, unknown)):
        assert len(asked.predict(maker.embed(image), prompts)) == 1


@pytest.mark.parametrize("wrong", ["x.jpg", np.zeros((30, 40, 3), np.uint8), None])
def test_an_image_in_the_place_of_its_embedding_is_told_to_embed_first(wrong):
    with pytest.raises(InputError, match=r"embed the image first, model.predict\(model.embed\(image\), …\)"):
        Predictor(FakeBackend()).predict(wrong, Prompts.points([[5, 5]]))


def test_bare_points_are_told_of_prompts():
    model = Predictor(FakeBackend())
    with pytest.raises(PromptError, match=r"not list: use Prompts.points\(\[\[x, y\]\]\)"):
        model.predict(model.embed(np.zeros((30, 40, 3), np.uint8)), [[5, 5]])


def test_a_predictor_of_a_backend_of_ones_own_is_pickled_with_it():
    again = pickle.loads(pickle.dumps(Predictor(FakeBackend(), "a" * 64)))  # noqa: S301
    assert (again.weights, again.backend.name) == ("a" * 64, "fake")


def test_many_prompts_are_decoded_some_at_a_time(model, backend, embedding, monkeypatch):
    points = np.stack(np.meshgrid(np.arange(10, 90, 20), np.arange(10, 90, 20)), -1).reshape(-1, 1, 2)
    prompts = Prompts.points(points)
    whole = model.predict(embedding, prompts, candidates="multimask")
    backend.decoded.clear()
    monkeypatch.setattr("samlet.predictor.PROMPTS_AT_ONCE", 3)
    masks = model.predict(embedding, prompts, candidates="multimask")
    assert [len(labels) for _, labels, _ in backend.decoded] == [3, 3, 3, 3, 3, 1]
    assert [mask.prompt_index for mask in masks] == [mask.prompt_index for mask in whole]
    assert [mask.rle for mask in masks] == [mask.rle for mask in whole]
    np.testing.assert_array_equal(masks.low_res_logits, whole.low_res_logits)


def test_a_prompt_outside_is_refused_before_the_first_is_decoded(model, backend, embedding, monkeypatch):
    monkeypatch.setattr("samlet.predictor.PROMPTS_AT_ONCE", 1)
    with pytest.raises(PromptError, match="outside"):
        model.predict(embedding, Prompts.points([[[1, 1]], [[900, 1]]]))
    assert backend.decoded == []


def test_an_embedding_on_other_canvases_is_refused(model, embedding):
    other = replace(embedding, frame=replace(embedding.frame, prompt_canvas=1))
    with pytest.raises(InputError, match="on other canvases"):
        model.predict(other, Prompts.points([[1, 1]]))
