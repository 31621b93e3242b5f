from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import replace

import pytest

from samlet.errors import ModelError
from samlet.geometry.windows import WIDE, Framing
from samlet.spec import LATER_NUMBERS, Checkpoint, ImageSpec, ModelSpec, ThingRule

# manifests of before state none of these
LATER = {*LATER_NUMBERS, "look", "thing_rule", "single_column", "multimask_columns", "task", "classes"}

WIDE_RECORD = dataclasses.asdict(WIDE)
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


def test_the_look_travels_with_the_weights():
    near = replace(SPEC, look=Framing(0.1, 0.3, 0.25, 1))
    record = json.loads(json.dumps(near.to_json()))
    assert ModelSpec.from_json(record) == near
    del record["look"]
    assert ModelSpec.from_json(record).look == WIDE


RULE = ThingRule(level=-1.0, iou=1.5, size=4.0)


def test_the_thing_rule_travels_with_the_weights():
    ruled = replace(SPEC, thing_rule=RULE)
    record = json.loads(json.dumps(ruled.to_json()))
    assert ModelSpec.from_json(record) == ruled
    with pytest.raises(ModelError, match="size"):
        ModelSpec.from_json(record | {"thing_rule": {"level": 1.0, "iou": 1.0}})


def test_a_thing_may_be_less_stable_the_surer_the_model_is_of_it_and_the_larger_it_is():
    assert RULE.least_stability(0.5, 0.25) == pytest.approx(1 / (1 + math.exp(1)))
    by_iou = [RULE.least_stability(iou, 0.1) for iou in (0.1, 0.4, 0.7, 0.95)]
    by_share = [RULE.least_stability(0.5, share) for share in (0, 0.01, 0.2, 1)]
    assert by_iou == sorted(by_iou, reverse=True)
    assert by_share == sorted(by_share, reverse=True)


@pytest.mark.parametrize("iou", [-3.0, 0.0, 1.0, 1.2, 1e30])
def test_any_predicted_iou_has_a_least_stability(iou):
    assert 0 < RULE.least_stability(iou, 0.5) < 1
    assert replace(RULE, level=1e9).least_stability(iou, 0.5) == pytest.approx(0)
    assert replace(RULE, level=-1e9).least_stability(iou, 0.5) == 1


@pytest.mark.parametrize("look", [{}, {"most": 1.0}, {**WIDE_RECORD, "most": "all"}, {**WIDE_RECORD, "most": 1.5}, 0.4])
def test_a_look_that_is_none_is_refused(look):
    with pytest.raises(ModelError, match=r"look|0 to 1|margin|most"):
        ModelSpec.from_json(SPEC.to_json() | {"look": look})


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
