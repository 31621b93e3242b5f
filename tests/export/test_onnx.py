"""The export of a tiny model: what the folder holds, and that a model which differs is not written."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto
from tests.filler import fill_
from tests.tiny import CANVAS, tiny_artifact, tiny_model

from samlet.errors import ExportError
from samlet.export import onnx as export
from samlet.export.graphs import plan_graphs
from samlet.export.parity import PHOTOS, TOLERANCES, Tolerance
from samlet.models import create
from samlet.models.registry import get_spec
from samlet.nn.prompt_decoder import ImageSide
from samlet.runtime.artifact import DECODER, ENCODER, GRAPHS, LONE, MANIFEST, PARITY, PROJECTOR, UPSCALER
from samlet.runtime.onnx import OnnxBackend
from samlet.spec import ModelSpec

ROOT = Path(__file__).parents[2]
KEYS, VALUES = [8, 16, 4096], [8, 4096, 16]
SHARED = {name: VALUES if name.startswith("values") else KEYS for name in ImageSide._fields}
SHARED |= {
    "cross2": [16, 16, 4096],
    "queries1": [8, 17, 4096],
    "position_queries2": [8, 17, 4096],
    "lengths": [3, 4096],
    "upscaled": [4096, 256],
}


def graph(name):
    return onnx.load(tiny_artifact() / name).graph


def signature(values):
    return {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim] for value in values
    }


@pytest.mark.parametrize("name", GRAPHS)
def test_no_path_of_this_machine_is_in_a_graph(name):
    assert str(ROOT).encode() not in (tiny_artifact() / name).read_bytes()


@pytest.fixture
def translated(monkeypatch):
    """The slow half of an export, done before."""
    monkeypatch.setattr(export, "write_graph", lambda plan, path, opset: shutil.copy(tiny_artifact() / path.name, path))


def test_the_folder_is_complete():
    assert {path.name for path in tiny_artifact().iterdir()} == {*GRAPHS, LONE, MANIFEST, PARITY}
    manifest = json.loads((tiny_artifact() / MANIFEST).read_text())
    assert ModelSpec.from_json(manifest) == tiny_model().spec
    assert manifest["precision"] == "float32"


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        (ENCODER, {"pixels": ["images", 3, CANVAS, CANVAS]}, {"image_embeddings": ["images", 256, 64, 64]}),
        (
            PROJECTOR,
            {"image_embeddings": [1, 256, 64, 64], "mask_hint": [1, 256, 256], "has_mask_hint": [1]},
            SHARED,
        ),
        (
            DECODER,
            {"points_xy": ["prompts", "tokens", 2], "labels": ["prompts", "tokens"], **SHARED},
            {"iou": ["prompts", 4], "mask_tokens": ["prompts", 4, 256]},
        ),
        (
            UPSCALER,
            {
                "upscaled": [4096, 256],
                "weights": ["prompts", "rank", 4096],
                "vectors": ["prompts", "rank", 256],
                "scale": ["prompts", 1, 4096],
                "mask_tokens": ["prompts", 4, 256],
                "columns": ["columns"],
            },
            {"logits": ["prompts", "columns", 256, 256]},
        ),
    ],
)
def test_graphs_have_these_inputs_and_outputs(name, inputs, outputs):
    assert signature(graph(name).input) == inputs
    written = signature(graph(name).output)
    if name == DECODER:
        assert list(written)[2:] == ["weights", "vectors", "scale"]  # their ranks follow from the tokens
        written = {key: written[key] for key in outputs}
    assert written == outputs


def test_the_encoder_is_rid_of_norms_and_resizes():
    kinds = {node.op_type for node in graph(ENCODER).node}
    assert "Conv" in kinds
    assert kinds.isdisjoint({"BatchNormalization", "Resize"})


def test_norms_of_the_decoder_are_single_nodes():
    kinds = [node.op_type for node in graph(DECODER).node]
    assert kinds.count("LayerNormalization") == 7  # those of tokens; those of the image are never made
    assert [node.op_type for node in graph(UPSCALER).node].count("Gelu") == 2


def test_the_parity_record_is_within_tolerance():
    record = json.loads((tiny_artifact() / PARITY).read_text())
    assert record["photos"] == ["cat.jpg", "coffee.jpg"]
    assert record["mask_iou_mean"] >= TOLERANCES["float32"].mask_iou
    assert record["nodes"] == {name: len(graph(name).node) for name in (*GRAPHS, LONE)}
    assert 0 < record["logits_max_difference_in_std"] <= TOLERANCES["float32"].logits


@pytest.mark.usefixtures("translated")
def test_float16_weights_halve_the_folder_and_keep_the_masks(tmp_path):
    parity = export.export_onnx(tiny_model(), tmp_path / "half", precision="float16-weights", photos=PHOTOS[:1])
    assert parity.mean_mask_iou >= 0.99
    whole, half = ((folder / DECODER).stat().st_size for folder in (tiny_artifact(), tmp_path / "half"))
    assert half < 0.55 * whole
    assert json.loads((tmp_path / "half" / MANIFEST).read_text())["precision"] == "float16-weights"


def types(model):
    """By operator, the element types of first inputs: what it computes in."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    known = {value.name: value.type.tensor_type.elem_type for value in values}
    known |= {tensor.name: tensor.data_type for tensor in inferred.initializer}
    found = {}
    for node in inferred.node:
        found.setdefault(node.op_type, set()).add(known.get(node.input[0]))
    return found


def test_float16_computes_so_in_the_encoder_alone(tmp_path, monkeypatch):
    write = export.write_graph
    monkeypatch.setattr(
        export,
        "write_graph",
        lambda plan, path, opset: (
            write(plan, path) if path.name == ENCODER else shutil.copy(tiny_artifact() / path.name, path)
        ),
    )
    parity = export.export_onnx(tiny_model(), tmp_path / "half", precision="float16", photos=PHOTOS[:1])
    assert parity.mean_mask_iou >= 0.99
    assert parity.embedding > 0
    encoder, decoder = (onnx.load(tmp_path / "half" / name) for name in (ENCODER, DECODER))
    # Named first, because a failing assertion prints whole graphs.
    convolutions, products = types(encoder)["Conv"], types(decoder)["MatMul"]
    ends = {value.type.tensor_type.elem_type for value in [*encoder.graph.input, *encoder.graph.output]}
    stored = {tensor.data_type for tensor in decoder.graph.initializer}
    assert convolutions == {TensorProto.FLOAT16}
    assert ends == products == {TensorProto.FLOAT}
    assert TensorProto.FLOAT16 in stored
    assert json.loads((tmp_path / "half" / MANIFEST).read_text())["precision"] == "float16"


@pytest.mark.slow
def test_norms_and_divisions_of_a_float16_encoder_stay_float32(tmp_path):
    spec = get_spec("efficientvit-sam-b0")
    model = fill_(create(replace(spec, image=replace(spec.image, canvas=128))))
    export.write_graph(plan_graphs(model, torch.float16)[ENCODER], tmp_path / ENCODER)
    found = types(onnx.load(tmp_path / ENCODER))
    assert found["Conv"] == {TensorProto.FLOAT16}
    assert found["Div"] == found["ReduceMean"] == found["MatMul"] == {TensorProto.FLOAT}


@pytest.mark.usefixtures("translated")
def test_int8_rounds_the_encoder_and_halves_the_weights_beside_it(tmp_path):
    pytest.importorskip("samlet.export.quantize")
    parity = export.export_onnx(
        tiny_model(), tmp_path / "int8", precision="int8", photos=PHOTOS[:1], calibration=PHOTOS[1:]
    )
    assert TOLERANCES["int8"].mask_iou <= parity.mean_mask_iou < 1
    kinds = {
        name: {node.op_type for node in onnx.load(tmp_path / "int8" / name).graph.node} for name in (*GRAPHS, LONE)
    }
    assert [name for name in kinds if "QuantizeLinear" in kinds[name]] == [ENCODER]
    whole, half = ((folder / DECODER).stat().st_size for folder in (tiny_artifact(), tmp_path / "int8"))
    assert half < 0.55 * whole
    assert OnnxBackend.from_folder(tmp_path / "int8").spec == tiny_model().spec
    assert json.loads((tmp_path / "int8" / MANIFEST).read_text())["precision"] == "int8"


@pytest.mark.usefixtures("translated")
def test_nothing_is_written_above_tolerance(tmp_path, monkeypatch):
    monkeypatch.setitem(TOLERANCES, "float32", Tolerance(embedding=0, iou=0, logits=0, mask_iou=1))
    with pytest.raises(ExportError, match=r"tiny does not match the model in torch: .*logits differ"):
        export.export_onnx(tiny_model(), tmp_path / "model", photos=PHOTOS[:1])
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_needs_a_photo(tmp_path):
    with pytest.raises(ExportError, match="at least one photo"):
        export.export_onnx(tiny_model(), tmp_path / "model", photos=[])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"precision": "int8"}, "int8 is calibrated on photos"),
        ({"precision": "int8", "calibration": PHOTOS}, "is calibrated on and compared on"),
        ({"calibration": PHOTOS}, "Only int8 is calibrated"),
        ({"opset": 16}, "There is no opset 16 here: use one of 17, 18, 19, 20"),
    ],
)
def test_what_would_flatter_or_be_ignored_is_refused(tmp_path, options, sentence):
    with pytest.raises(ExportError, match=sentence):
        export.export_onnx(tiny_model(), tmp_path / "model", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_older_runtimes_get_an_older_opset_with_the_same_masks(tmp_path):
    parity = export.export_onnx(tiny_model(), tmp_path / "old", opset=17, photos=PHOTOS[:1])
    assert parity.mean_mask_iou >= TOLERANCES["float32"].mask_iou
    for name in (*GRAPHS, LONE):
        model = onnx.load(tmp_path / "old" / name)
        assert (model.ir_version, [each.version for each in model.opset_import if not each.domain]) == (8, [17])
        assert "Gelu" not in {node.op_type for node in model.graph.node}


@pytest.mark.usefixtures("translated")
def test_the_steps_are_told_and_the_model_stays_as_it_is(tmp_path):
    model, steps = tiny_model(), []
    before = {name: value.clone() for name, value in model.state_dict().items()}
    export.export_onnx(model, tmp_path / "model", photos=PHOTOS[:1], progress=steps.append)
    assert steps == [*(f"translating {name}" for name in (*GRAPHS, LONE)), "comparing masks on 1 photos"]
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all((after[name] == value).all() for name, value in before.items())
