from __future__ import annotations

import inspect

import pytest
from tests.fake_backend import FakeBackend

from samlet.errors import InputError, UnknownModelError, WeightsError
from samlet.models.registry import get_spec
from samlet.predictor import Predictor
from samlet.sam_api import create_efficientvit_sam_model, sam_model_registry
from samlet.sam_api.models import predictor_of


def test_the_registry_has_the_official_names():
    assert {"default", "vit_h", "vit_l", "vit_b", "vit_t", "edge_sam", "repvit"} <= set(sam_model_registry)
    for name in set(sam_model_registry) - {"default"}:
        assert name in get_spec(name).aliases


def test_a_predictor_is_used_as_it_is():
    predictor = Predictor(FakeBackend())
    assert predictor_of(predictor) is predictor


def test_the_official_signature():
    parameters = inspect.signature(create_efficientvit_sam_model).parameters
    assert [(name, parameter.default) for name, parameter in parameters.items()] == [
        ("name", inspect.Parameter.empty),
        ("pretrained", True),
        ("weight_url", None),
    ]


def test_weights_that_are_not_here_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMLET_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="samlet models pull efficientvit-sam-l0"):
        create_efficientvit_sam_model("efficientvit-sam-l0")


@pytest.mark.parametrize(("name", "error"), [("mobile-sam", InputError), ("efficientvit-sam-l9", UnknownModelError)])
def test_other_names_are_refused(name, error):
    with pytest.raises(error, match=name):
        create_efficientvit_sam_model(name, pretrained=False)
