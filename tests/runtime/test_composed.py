"""One backend encodes, another decodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.fake_backend import SPEC, FakeBackend

from samlet.errors import BackendError
from samlet.predictor import Predictor
from samlet.prompts import Prompts
from samlet.runtime.composed import ComposedBackend

PHOTO = np.zeros((40, 60, 3), np.uint8)


def test_each_does_its_part():
    encoder, decoder = FakeBackend(name="openvino", iou=(0.1,) * 4), FakeBackend(name="onnx")
    model = Predictor(ComposedBackend(encoder, decoder))
    masks = model.predict(model.embed(PHOTO), Prompts.points([[30, 20]]))
    assert masks[0].iou == pytest.approx(0.95)
    assert (len(encoder.decoded), len(decoder.decoded)) == (0, 1)
    assert (model.backend.name, model.spec) == ("openvino+onnx", SPEC)


def test_the_same_runtime_twice_has_one_name():
    assert ComposedBackend(FakeBackend(name="onnx"), FakeBackend(name="onnx")).name == "onnx"


def test_two_models_are_refused():
    other = FakeBackend(spec=replace(SPEC, name="another"))
    with pytest.raises(BackendError, match="decoder of another: they must be one model"):
        ComposedBackend(FakeBackend(), other)
