from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.fake_backend import IOU, FakeBackend

from samlet.errors import InputError, PromptError
from samlet.geometry.box_prior import BOXES, SCORES
from samlet.geometry.regions import stability_score
from samlet.predictor import Predictor
from samlet.sam_api import SamPredictor

PICTURE = np.random.default_rng(1).integers(0, 255, (120, 200, 3), np.uint8)


@pytest.fixture
def backend():
    return FakeBackend()


@pytest.fixture
def predictor(backend):
    predictor = SamPredictor(Predictor(backend))
    predictor.set_image(PICTURE)
    return predictor


class TestImage:
    def test_sizes_before_and_after(self, predictor):
        assert predictor.is_image_set
        assert predictor.original_size == (120, 200)
        assert predictor.input_size == (614, 1024)  # of the prompt square, also where the encoder sees 512 pixels
        predictor.reset_image()
        assert not predictor.is_image_set
        assert (predictor.original_size, predictor.input_size, predictor.features) == (None, None, None)

    def test_bgr_is_rgb_backwards(self, predictor):
        rgb = predictor.model.embed(PICTURE)
        predictor.set_image(PICTURE[..., ::-1], image_format="BGR")
        embedding = predictor._image()
        np.testing.assert_array_equal(embedding.features["image_embeddings"], rgb.features["image_embeddings"])

    def test_another_format_is_refused(self, predictor):
        with pytest.raises(InputError, match='"HSV"'):
            predictor.set_image(PICTURE, image_format="HSV")

    @pytest.mark.parametrize("ask", [SamPredictor.predict, SamPredictor.get_image_embedding])
    def test_without_an_image_there_is_no_answer(self, predictor, ask):
        predictor.reset_image()
        with pytest.raises(InputError, match="set_image"):
            ask(predictor)

    def test_a_torch_image_must_be_resized_already(self, predictor):
        with pytest.raises(InputError, match=r"\[1, 3, 461, 768\]"):
            predictor.set_torch_image(np.zeros((1, 3, 120, 200)), (120, 200))

    def test_a_torch_image_is_normalized_and_padded(self, predictor):
        resized = predictor.transform.apply_image(PICTURE)
        rgb = predictor.model.embed(PICTURE)
        predictor.set_torch_image(resized.transpose(2, 0, 1)[None], (120, 200))
        embedding = predictor._image()
        assert embedding.frame == rgb.frame
        np.testing.assert_allclose(
            embedding.features["image_embeddings"], rgb.features["image_embeddings"], rtol=0, atol=1e-6
        )


class TestPredict:
    def test_three_masks_for_an_ambiguous_prompt(self, predictor):
        masks, iou, low_res = predictor.predict(np.array([[100, 60]]), np.array([1]))
        assert (masks.shape, masks.dtype) == ((3, 120, 200), bool)
        assert (low_res.shape, low_res.dtype) == ((3, 256, 256), np.float32)
        assert iou.tolist() == pytest.approx(IOU[1:])
        assert (np.diff(masks.sum((1, 2))) > 0).all()  # the fake's discs grow from mask to mask

    def test_one_mask_on_request(self, predictor, backend):
        masks, iou, low_res = predictor.predict(np.array([[100, 60]]), np.array([1]), multimask_output=False)
        assert (masks.shape, iou.tolist(), low_res.shape) == ((1, 120, 200), [IOU[0]], (1, 256, 256))
        assert backend.upscaled == [1]

    @pytest.mark.parametrize(("count", "expected"), [(1, IOU[:1]), (3, IOU[1:]), (4, IOU)])
    def test_as_many_masks_as_edge_sam_asks_for(self, predictor, count, expected):
        click = (np.array([[100, 60]]), np.array([1]))
        masks, iou, low_res = predictor.predict(*click, num_multimask_outputs=count, multimask_output=False)
        assert (len(masks), len(low_res)) == (count, count)
        assert iou.tolist() == pytest.approx(expected)

    @pytest.mark.parametrize("count", [0, 2, 5])
    def test_another_number_of_masks_is_refused(self, predictor, count):
        with pytest.raises(InputError, match=f"{count}: use 1, 3 or 4"):
            predictor.predict(np.array([[100, 60]]), np.array([1]), num_multimask_outputs=count)

    def test_stability_in_the_place_of_scores(self, predictor):
        click = (np.array([[100, 60]]), np.array([1]))
        masks, scores, low_res = predictor.predict(*click, num_multimask_outputs=4, use_stability_score=True)
        assert scores.tolist() == stability_score(low_res).tolist()
        assert scores.argmax() == masks.sum((1, 2)).argmax()  # of the fake's discs the largest has the least rim

    def test_logits_on_request(self, predictor):
        click = (np.array([[100, 60]]), np.array([1]))
        logits, _, _ = predictor.predict(*click, return_logits=True)
        masks, _, _ = predictor.predict(*click)
        assert logits.dtype == np.float32
        np.testing.assert_array_equal(logits > 0, masks)

    def test_tokens_are_scaled_points_then_the_box(self, predictor, backend):
        predictor.predict(np.array([[100, 60]]), np.array([0]), box=np.array([[10, 20, 190, 110]]))
        points_xy, labels, hint = backend.decoded[-1]
        scale = [1024 / 200, 614 / 120]
        np.testing.assert_allclose(points_xy, np.multiply([[[100, 60], [10, 20], [190, 110]]], scale), rtol=1e-6)
        assert labels.tolist() == [[0, 2, 3]]
        assert hint is None

    def test_low_resolution_logits_are_the_next_hint(self, predictor, backend):
        _, iou, low_res = predictor.predict(np.array([[100, 60]]), np.array([1]))
        best = low_res[iou.argmax()][None]
        predictor.predict(np.array([[100, 60]]), np.array([1]), mask_input=best)
        np.testing.assert_array_equal(backend.decoded[-1][2], best)

    def test_no_prompt_and_a_hint_alone_are_legal(self, predictor):
        assert predictor.predict()[0].shape == (3, 120, 200)
        assert predictor.predict(mask_input=np.zeros((1, 256, 256)))[0].shape == (3, 120, 200)

    def test_points_may_lie_outside_the_image(self, predictor):
        masks, _, _ = predictor.predict(np.array([[-500, 4000]]), np.array([1]))
        assert not masks.any()

    @pytest.mark.parametrize(
        "given",
        [
            {"point_coords": [[1, 2]]},
            {"point_coords": [1, 2], "point_labels": [1]},
            {"point_coords": [[1, 2]], "point_labels": [1, 1]},
            {"box": [[0, 0, 5, 5], [1, 1, 6, 6]]},
            {"mask_input": np.zeros((256, 256))},
            {"mask_input": np.zeros((1, 1024, 1024))},
        ],
    )
    def test_wrong_shapes_are_prompt_errors(self, predictor, given):
        with pytest.raises(PromptError):
            predictor.predict(**given)


def test_the_device_of_a_model_without_torch_is_the_cpu(predictor):
    assert predictor.device == "cpu"


def test_proposals_of_a_model_that_has_them_read_a_lone_click(predictor, backend):
    box = [400.0, 200.0, 700.0, 500.0]
    features = {**predictor._image().features, BOXES: np.float32([[box]]), SCORES: np.float32([[0.7]])}
    predictor._embedding = replace(predictor._image(), features=features)
    predictor.predict(np.array([[100, 60]]), np.array([1]))
    points_xy, labels, _ = backend.decoded[-1]
    assert labels.tolist() == [[1, 2, 3]]
    assert points_xy[0, 1:].ravel().tolist() == box
    predictor.predict(np.array([[100, 60]]), np.array([1]), mask_input=np.zeros((1, 256, 256)))
    assert backend.decoded[-1][1].tolist() == [[1, -1]]
