from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import pytest

from samlet.errors import ModelError
from samlet.spec import LATER_NUMBERS, Checkpoint, ImageSpec, ModelSpec

LATER = {*LATER_NUMBERS, "single_column", "multimask_columns", "task", "classes"}  # manifests of before state none

SPEC = ModelSpec(
    name="tiny",
    family="test",
    image=ImageSpec(canvas=512, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0)),
    builder="samlet.models.tiny:build",
    options={"width": 8},
    parameters=12,
    encoder_macs=34,
    license="Apache-2.0",
    aliases=("t",),
    checkpoint=Checkpoint("tiny.pt", 5, "0" * 64, ("https://example.org/tiny.pt",), "MIT"),
    summary="a model for tests",
)


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        dataclasses.replace(SPEC, checkpoint=None, aliases=(), options={}),
        dataclasses.replace(SPEC, checkpoint=Checkpoint("x", None, None, (), "MIT")),
    ],
)
def test_survives_json(spec):
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_manifest_may_say_more():
    assert ModelSpec.from_json(SPEC.to_json() | {"files": {"encoder.onnx": "…"}}) == SPEC


def test_thresholds_of_everything_mode_are_sams_where_a_manifest_tells_none():
    record = {name: value for name, value in SPEC.to_json().items() if name not in LATER_NUMBERS}
    assert ModelSpec.from_json(record) == replace(
        SPEC, pred_iou_thresh=0.88, stability_score_thresh=0.95, edge_radius=0.006, edge_eps=1e-4
    )


def test_a_manifest_of_before_is_of_a_promptable_model_with_sams_masks():
    record = {name: value for name, value in SPEC.to_json().items() if name not in LATER}
    spec = ModelSpec.from_json(record)
    assert (spec.task, spec.single_column, spec.multimask) == ("promptable", 0, (1, 2, 3))


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ModelSpec) if field.name not in LATER])
def test_a_missing_field_is_named(name):
    record = SPEC.to_json()
    del record[name]
    with pytest.raises(ModelError, match=f'"{name}"'):
        ModelSpec.from_json(record)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        (None, "parameters", "12"),  # a number as text
        (None, "parameters", True),  # Python counts a bool as an int
        (None, "options", []),
        (None, "checkpoint", "tiny.pt"),
        ("image", "canvas", 512.0),
        ("image", "mean", [1.0, 2.0]),  # two channels
        ("image", "std", ["a", "b", "c"]),
        ("checkpoint", "sha256", 7),
        ("checkpoint", "urls", "https://example.org"),
    ],
)
def test_a_mistyped_field_is_named(part, name, value):
    record = SPEC.to_json()
    (record[part] if part else record)[name] = value
    with pytest.raises(ModelError, match=f'"{name}"'):
        ModelSpec.from_json(record)


@pytest.mark.parametrize(
    "change",
    [{"canvas": 0}, {"prompt_canvas": -1}, {"std": (1.0, 0.0, 1.0)}, {"resampling": "nearest"}, {"crop_ratio": 0}],
)
def test_an_impossible_image_spec_is_refused(change):
    with pytest.raises(ModelError):
        dataclasses.replace(SPEC.image, **change)


def test_specs_can_be_keys():
    assert len({SPEC, ModelSpec.from_json(SPEC.to_json())}) == 1
