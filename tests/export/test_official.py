"""Meta's decoder contract: names, shapes, types, padding points, and masks that are the predictor's."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from tests.tiny import tiny_model

from samlet.export.official import OfficialDecoder, _append_resizing
from samlet.export.onnx import export_onnx
from samlet.export.parity import PHOTOS
from samlet.geometry.frames import ImageFrame
from samlet.predictor import Predictor
from samlet.prompts import Prompts
from samlet.runtime.torch import TorchBackend

RANDOM = np.random.default_rng(5)
INPUTS = {
    "image_embeddings": [1, 256, 64, 64],
    "point_coords": ["num_prompts", "num_points", 2],
    "point_labels": ["num_prompts", "num_points"],
    "mask_input": [1, 1, 256, 256],
    "has_mask_input": [1],
    "orig_im_size": [2],
}
OUTPUTS = {
    "masks": ["num_prompts", 4, "height", "width"],
    "iou_predictions": ["num_prompts", 4],
    "low_res_masks": ["num_prompts", 4, 256, 256],
}


@pytest.fixture(scope="module")
def resizing():
    """The last nodes alone, fed with low-resolution masks."""
    masks, iou = (helper.make_tensor_value_info(name, 1, shape) for name, shape in list(OUTPUTS.items())[:0:-1])
    given = [helper.make_tensor_value_info(f"given_{value.name}", 1, OUTPUTS[value.name]) for value in (masks, iou)]
    nodes = [helper.make_node("Identity", [source.name], [source.name[6:]]) for source in given]
    graph = helper.make_graph(nodes, "decoder", given, [iou, masks])
    _append_resizing(graph, tiny_model().spec)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    assert [output.name for output in model.graph.output] == list(OUTPUTS)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("size_hw", [(120, 200), (333, 77), (64, 64), (1, 300), (1, 3000), (900, 1300)])
def test_masks_are_resized_as_the_frame_does(resizing, size_hw):
    logits = RANDOM.standard_normal((1, 4, 256, 256)).astype(np.float32)
    inputs = {
        "given_low_res_masks": logits,
        "given_iou_predictions": np.zeros((1, 4), np.float32),
        "orig_im_size": np.array(size_hw, np.float32),
    }
    (masks,) = resizing.run(["masks"], inputs)
    assert masks.shape == (1, 4, *size_hw)
    np.testing.assert_allclose(masks, ImageFrame(size_hw, 512).logits_to_image(logits), atol=2e-4)


@torch.no_grad()
@pytest.mark.parametrize("hinted", [False, True])
@pytest.mark.parametrize("labels", [[1, -1], [1, 0, -1], [2, 3], [1, 2, 3]])
def test_the_module_gives_the_masks_of_the_model(labels, hinted):
    model = tiny_model()
    embeddings = torch.from_numpy(RANDOM.standard_normal((1, 256, 64, 64)).astype(np.float32))
    points = torch.from_numpy(RANDOM.uniform(0, 1024, (1, len(labels), 2)).astype(np.float32))
    hint = torch.from_numpy(RANDOM.standard_normal((1, 256, 256)).astype(np.float32))
    iou, masks = OfficialDecoder(model)(
        embeddings, points, torch.tensor([labels]).float(), hint[:, None], torch.tensor([float(hinted)])
    )
    expected, tokens, keys = model.decode_tokens(embeddings, points, torch.tensor([labels]), hint if hinted else None)
    torch.testing.assert_close(iou, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(masks, model.upscale(tokens, keys), atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_a_client_of_metas_decoder_gets_the_predictors_masks(tmp_path):
    model = tiny_model()
    parity = export_onnx(model, tmp_path / "official", layout="official", opset=17)
    assert parity.mean_mask_iou >= 0.999
    folder = tmp_path / "official"
    assert json.loads((folder / "manifest.json").read_text())["layout"] == "official"
    assert {onnx.load(folder / name).ir_version for name in ("encoder.onnx", "decoder.onnx")} == {8}
    decoder = onnxruntime.InferenceSession(folder / "decoder.onnx", providers=["CPUExecutionProvider"])
    assert {value.name: value.shape for value in decoder.get_inputs()} == INPUTS
    assert {value.name: value.shape for value in decoder.get_outputs()} == OUTPUTS
    assert {value.type for value in (*decoder.get_inputs(), *decoder.get_outputs())} == {"tensor(float)"}

    predictor = Predictor(TorchBackend(model, model.spec))
    embedding = predictor.embed(PHOTOS[0])
    height, width = embedding.frame.size_hw
    scale = 1024 / max(height, width)
    inputs = {
        "image_embeddings": embedding.features["image_embeddings"],
        "point_coords": np.array([[[width / 2, height / 3], [0, 0]]], np.float32) * np.float32(scale),
        "point_labels": np.array([[1, -1]], np.float32),
        "mask_input": np.zeros((1, 1, 256, 256), np.float32),
        "has_mask_input": np.zeros(1, np.float32),
        "orig_im_size": np.array([height, width], np.float32),
    }
    masks, iou, _ = decoder.run(None, inputs)
    ours = predictor.predict(embedding, Prompts.points([[width / 2, height / 3]]), candidates="multimask")
    np.testing.assert_allclose(iou[0, 1:], ours.iou, atol=1e-4)
    same = (masks[0, 1:] > 0) == ours.to_array()
    assert same.mean() > 0.999

    boxes = np.array([[10, 10, 90, 80], [20, 5, 60, 95], [30, 30, 99, 99]], np.float32).reshape(3, 2, 2)
    labels = np.tile(np.float32([[2, 3]]), (3, 1))
    together, _, _ = decoder.run(None, inputs | {"point_coords": boxes, "point_labels": labels})
    assert together.shape == (3, 4, height, width)
    for row in range(3):
        one = {"point_coords": boxes[row : row + 1], "point_labels": labels[:1]}
        alone, _, _ = decoder.run(None, inputs | one)
        np.testing.assert_allclose(together[row], alone[0], atol=1e-3)
