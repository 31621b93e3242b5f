"""Classifiers and segmenters as one graph: what is compared, what is refused, and that answers stay the same."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from tests import filler
from tests.training.small_networks import seeded, small_network

from samlet.classes import ClassList
from samlet.errors import ExportError
from samlet.export.networks import TOLERANCES, NetworkParity, export_network
from samlet.export.parity import PHOTOS
from samlet.loading import load
from samlet.models import create
from samlet.models.registry import get_spec
from samlet.nn.layers import resize_bicubic, upsample_bicubic
from samlet.runtime.artifact import NETWORK

PETS = ClassList("pets", ("cat", "dog", "none"))


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_enlarging_by_one_convolution_is_the_bicubic_resize(factor):
    x = torch.randn(2, 3, 5, 7)
    torch.testing.assert_close(upsample_bicubic(x, factor), resize_bicubic(x, (5 * factor, 7 * factor)))


def test_equal_answers_pass_and_others_are_told():
    logits = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)
    parity = NetworkParity()
    parity.add(logits, logits, (32, 48))
    parity.add(logits[:, 0, 0], logits[:, 0, 0], (32, 48))
    assert (parity.logits, parity.top1, parity.miou) == (0, 1, 1)
    assert parity.violations(TOLERANCES["float32"]) == []
    parity.add(logits, logits[::-1], (32, 48))
    assert len(parity.violations(TOLERANCES["int8"])) == 3
    broken = NetworkParity()
    broken.add(logits[:, 0, 0], np.full(3, np.nan, np.float32), (32, 48))
    assert "logits differ by nan" in broken.violations(TOLERANCES["int8"])[0]
    assert json.dumps(parity.to_json(TOLERANCES["int8"]))


def test_enlarged_logits_are_compared_at_their_size():
    logits = np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32)
    enlarged = upsample_bicubic(torch.from_numpy(logits)[None], 8)[0].numpy()
    parity = NetworkParity()
    parity.add(logits, enlarged, (32, 48))
    assert parity.violations(TOLERANCES["float32"]) == []


def test_a_pixel_between_two_classes_may_fall_to_either_a_view_may_not():
    logits = np.zeros((2, 200, 200), np.float32)
    logits[0] = np.linspace(-1, 1, 200)
    other = logits.copy()
    other[0, 0, 99] += 0.006  # the surest class changes there, by a hundredth of the standard deviation
    tolerance = replace(TOLERANCES["float32"], logits=0.1)
    parity = NetworkParity()
    parity.add(logits, other, (200, 200))
    assert parity.top1 == 1 - 1 / 200**2
    assert parity.violations(tolerance) == []
    other[0, :5, 99] += 0.006
    parity.add(logits, other, (200, 200))
    assert "99.99" in parity.violations(replace(tolerance, pixels=0.99999))[0]
    view = NetworkParity()
    view.add(np.float32([0, 1e-9]), np.float32([1e-9, 0]), (200, 200))
    assert "in 0.000% of views" in view.violations(replace(tolerance, logits=3))[0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"opset": 3}, "There is no opset 3"),
        ({"photos": []}, "give at least one photo"),
        ({"precision": "int8"}, "int8 is calibrated on photos"),
        ({"full_size": True}, "is a classifier, whose answer has no size"),
    ],
)
def test_what_cannot_be_exported(tmp_path, options, sentence):
    model = create(get_spec("efficientvit-b0").with_classes(PETS))
    with pytest.raises(ExportError, match=sentence):
        export_network(model, tmp_path / "artifact", **options)
    assert not (tmp_path / "artifact").exists()


@pytest.fixture
def photo(tmp_path):
    from PIL import Image

    path = tmp_path / "photo.png"
    Image.fromarray(filler.image(90, 140)).save(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_segmenter_takes_images_of_any_size_and_ends_at_theirs(tmp_path, photo, precision):
    spec = get_spec("efficientvit-seg-b0-cityscapes").with_classes(PETS)
    spec = replace(spec, image=replace(spec.image, canvas=96))
    model = filler.fill_(create(spec))
    parity = export_network(model, tmp_path / "artifact", precision=precision, photos=[photo], full_size=True)
    assert (parity.top1 > 0.95, parity.miou > 0.95) == (True, True)
    for backend in ("onnx", "openvino"):
        found = load(tmp_path / "artifact", backend=backend, task="semantic_segmentation")
        assert found.logits(photo).shape == (3, 96, 160)
        assert found.parse(photo).size_hw == (90, 140)
        assert found.parse(photo, window=64).size_hw == (90, 140)


@pytest.mark.slow
def test_a_classifier_answers_the_same_everywhere(tmp_path, photo):
    model = filler.fill_(create(get_spec("efficientvit-m0").with_classes(PETS)))
    with torch.no_grad():
        for parameter, value in model.state_dict().items():
            if parameter.endswith((".m.bn.weight", "pw2.bn.weight", "proj.1.bn.weight", "pw2.bn.bias", ".m.bn.bias")):
                value.mul_(0.25)  # as in the official numbers: else forty residuals explode
    export_network(model, tmp_path / "artifact", photos=[photo])
    answers = [
        load(tmp_path / "artifact", backend=backend, task="classification").logits([photo, photo])
        for backend in ("onnx", "openvino")
    ]
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-3, atol=1e-3)
    assert load(tmp_path / "artifact").classify([photo])[0].top.name in PETS.names


def taught(spec):
    """A small network that has learned which pixels are light, or which images."""
    model = seeded(small_network, spec).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        pixels = F.interpolate(torch.randn(8, 3, 6, 6) + torch.randn(8, 1, 1, 1), (48, 48), mode="bilinear")
        lightness = F.avg_pool2d(pixels.mean(1), 4) if spec.task == "semantic_segmentation" else pixels.mean((1, 2, 3))
        optimizer.zero_grad()
        F.cross_entropy(model(pixels), (lightness > 0).long()).backward()
        optimizer.step()
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientvit-b0", "efficientvit-seg-b0-cityscapes"])
def test_int8_of_trained_weights_says_what_they_say(tmp_path, photo, name):
    pytest.importorskip("samlet.export.quantize")
    spec = get_spec(name).with_classes(ClassList("lightness", ("dark", "light")))
    model = taught(replace(spec, image=replace(spec.image, canvas=96)))
    parity = export_network(model, tmp_path / "artifact", precision="int8", calibration=[photo], photos=PHOTOS)
    assert 0 < parity.logits < TOLERANCES["int8"].logits
    assert 0.9 < parity.top1 <= 1
    graph = onnx.load(tmp_path / "artifact" / NETWORK).graph
    assert "QuantizeLinear" in {node.op_type for node in graph.node}
    for backend in ("onnx", "openvino"):
        assert load(tmp_path / "artifact", backend=backend).spec.classes.names == ("dark", "light")
