"""Sizes are facts of the spec: a model that shares none of SAM's runs through every verb from one spec."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests import fake_family
from tests.filler import fill_, image

import samlet
from samlet.backend import Embedding
from samlet.cli.eval import app as eval_app
from samlet.cli.options.model import ModelOptions
from samlet.cli.segment import segment
from samlet.errors import ExportError, InputError, PromptError
from samlet.export.onnx import export_onnx
from samlet.export.parity import PHOTOS
from samlet.models import create
from samlet.predictor import Predictor
from samlet.sam_api import SamPredictor
from samlet.spec import ModelSpec

SPECS = {"ONE": fake_family.ONE, "THREE": fake_family.THREE, "FOUR": fake_family.FOUR}
MULTIMASK = {"ONE": (0,), "THREE": (0, 1), "FOUR": (1, 2, 3)}
PHOTO = image(60, 140)
TINY = Path(__file__).parent / "fixtures" / "tiny"


@pytest.fixture(scope="module", params=SPECS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def checkpoint(name, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    torch.save(fill_(create(SPECS[name])).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def model(name, checkpoint) -> Predictor:
    return samlet.load(f"tests.fake_family:{name}", backend="torch", checkpoint=checkpoint)


@pytest.fixture(scope="module")
def embedding(model):
    return model.embed(PHOTO)


@pytest.fixture
def clicks():
    return samlet.Prompts.points([[[70, 30]], [[20, 50]]])


def test_the_spec_is_a_manifest(name):
    spec = SPECS[name]
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert spec.multimask == MULTIMASK[name]


def test_an_image_is_stretched_over_the_canvas(embedding, tmp_path):
    frame = embedding.frame
    assert (frame.content_hw, frame.low_res_hw) == ((1008, 1008), (288, 288))
    np.testing.assert_allclose(frame.to_prompt([[70, 30], [140, 60]]), [[504, 504], [1008, 1008]])
    assert embedding.features["image_embeddings"].shape == (1, 32, 72, 72)
    embedding.save(tmp_path / "embedding.npz")
    assert Embedding.load(tmp_path / "embedding.npz").frame == frame


@pytest.mark.parametrize("candidates", ["best", "single", "multimask", "every"])
@pytest.mark.parametrize("select", ["iou", "stability"])
def test_predict(name, model, embedding, clicks, candidates, select):
    every = model.decode(embedding, clicks)
    masks = model.predict(embedding, clicks, candidates=candidates, select=select)
    count = {"best": 1, "single": 1, "multimask": len(MULTIMASK[name]), "every": SPECS[name].mask_tokens}[candidates]
    assert every.iou.shape == (2, SPECS[name].mask_tokens)
    assert masks.to_array().shape == (2 * count, 60, 140)
    assert masks.low_res_logits.shape == (2 * count, 288, 288)
    wanted = every.iou[:, SPECS[name].single_column] if candidates == "single" else every.iou.max(axis=1)
    if candidates in ("single", "every"):
        np.testing.assert_allclose(masks.iou.reshape(2, -1).max(axis=1), wanted, rtol=1e-6)


def test_masks_are_those_of_the_logits_stretched_back(model, embedding, clicks):
    masks = model.predict(embedding, clicks)
    logits = torch.from_numpy(masks.low_res_logits)[:, None]
    for side in ((1008, 1008), (60, 140)):
        logits = torch.nn.functional.interpolate(logits, side, mode="bilinear", align_corners=False)
    expected = logits[:, 0].numpy()
    clear = np.abs(expected) > 1e-3 * np.abs(expected).max()
    np.testing.assert_array_equal(masks.to_array()[clear], (expected > 0)[clear])


def test_an_answer_is_a_hint_of_its_own_size(model, embedding):
    click = samlet.Prompts.points([[70, 30]])
    hint = model.predict(embedding, click).low_res_logits
    plain, hinted = model.decode(embedding, click), model.decode(embedding, click.with_mask_hint(hint))
    assert np.abs(plain.iou - hinted.iou).max() > 0
    with pytest.raises(PromptError, match=r"\[1, 256, 256\].*\[1, 288, 288\]"):
        model.predict(embedding, click.with_mask_hint(np.zeros((256, 256))))


def test_segment_and_everything(model, embedding):
    assert model.segment(PHOTO, points=[[70, 30]], embedding=embedding, refine="edges").size_hw == (60, 140)
    generator = samlet.MaskGenerator(model, points_per_side=2, box_nms_thresh=1.0, pred_iou_thresh=0.0)
    masks = generator.generate(PHOTO)
    assert masks.size_hw == (60, 140)
    assert {mask.prompt_index for mask in masks} <= set(range(4))


def test_everything_mode_counts_memory_by_the_size_of_the_logits(model):
    with pytest.raises(InputError, match=str(2 * 64 * 288**2)):
        samlet.MaskGenerator(model, memory_budget=9 << 20)


def test_sam_api(name, model):
    predictor = SamPredictor(model)
    predictor.set_image(PHOTO)
    assert predictor.input_size == (1008, 1008)
    masks, scores, low_res = predictor.predict(np.array([[70, 30]]), np.array([1]))
    assert (masks.shape, scores.shape) == ((len(MULTIMASK[name]), 60, 140), (len(MULTIMASK[name]),))
    assert low_res.shape == (len(MULTIMASK[name]), 288, 288)
    again, _, _ = predictor.predict(box=np.array([10, 5, 90, 50]), mask_input=low_res[:1], multimask_output=False)
    assert again.shape == (1, 60, 140)
    every, _, _ = predictor.predict(box=np.array([10, 5, 90, 50]), num_multimask_outputs=SPECS[name].mask_tokens)
    assert len(every) == SPECS[name].mask_tokens
    assert predictor.transform.apply_image(PHOTO).shape == (1008, 1008, 3)


def test_eval(name, checkpoint, tmp_path):
    arguments = ["--model", f"tests.fake_family:{name}", "--checkpoint", checkpoint, "--backend", "torch"]
    arguments += ["--protocol", "point", "--clicks", "2", "--feed-mask-back", "--data", TINY, "--limit", "1"]
    eval_app([str(word) for word in [*arguments, "--output", tmp_path / "out"]], result_action="return_value")
    assert json.loads((tmp_path / "out" / "report.json").read_text())["metrics"]["miou"]["all"] >= 0


@pytest.mark.slow
def test_export_to_onnx_and_back(name, model, checkpoint, tmp_path, clicks):
    export_onnx(model.backend.module, tmp_path / "artifact", photos=PHOTOS[:1])
    exported = samlet.load(tmp_path / "artifact", backend="onnx")
    assert exported.spec == SPECS[name]
    ours, theirs = (each.predict(each.embed(PHOTO), clicks, candidates="every") for each in (exported, model))
    np.testing.assert_allclose(ours.iou, theirs.iou, atol=1e-4)
    assert ours.low_res_logits.shape == theirs.low_res_logits.shape
    with pytest.raises(ExportError, match="stretches images"):
        export_onnx(model.backend.module, tmp_path / "official", layout="official", photos=PHOTOS[:1])


def test_segment_writes_as_many_masks_as_the_model_has(name, checkpoint, tmp_path):
    photo, model = (
        next(TINY.glob("*.jpg")),
        ModelOptions(model=f"tests.fake_family:{name}", checkpoint=checkpoint, backend="torch"),
    )
    segment([photo], point=("9,9",), candidates="every", model=model, output=tmp_path / "out")
    [record] = (tmp_path / "out").glob("*.json")
    assert len(json.loads(record.read_text())["annotations"]) == SPECS[name].mask_tokens
