"""The torch backend: its candidates are those of the NumPy implementation, and nothing is upscaled in vain."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from tests.runtime.cases import CASES, IMAGES
from tests.tiny import CANVAS, tiny_model

from samlet.backend import ArrayMaskLogits, Embedding
from samlet.errors import BackendError
from samlet.export.plain import PlainBackend
from samlet.geometry.frames import ImageFrame
from samlet.models import Sam
from samlet.nn.mask_upscaler import MaskUpscaler
from samlet.nn.prompt_decoder import ImageProjector
from samlet.runtime import torch as runtime
from samlet.runtime.torch import TorchBackend, TorchMaskLogits, to_tensor
from samlet.tokens import PromptTokens

RANDOM = np.random.default_rng(1)
LOGITS = RANDOM.standard_normal((3, 4, 256, 256)).astype(np.float32) * 2
LOGITS[0, 0] = -9  # an empty mask
LOGITS[0, 1] = 9  # a full one
LOGITS[1, 0] = -9
LOGITS[1, 0, 40, 70] = 9  # one pixel
IOU = RANDOM.random((3, 4)).astype(np.float32)
FRAMES = {
    "landscape": ImageFrame((120, 200), 512),
    "portrait": ImageFrame((333, 77), 512),
    "one row": ImageFrame((1, 300), 512),
    "larger than the canvas": ImageFrame((900, 1300), 512),
}


@pytest.fixture
def pair():
    """The same candidates in torch and in NumPy."""
    logits = torch.from_numpy(LOGITS)
    return (
        TorchMaskLogits(torch.from_numpy(IOU), lambda rows, columns: logits[rows, columns]),
        ArrayMaskLogits(IOU, lambda rows, columns: LOGITS[rows, columns]),
    )


def test_candidates_equal_those_in_numpy(pair):
    ours, theirs = pair
    for name in ("low_res", "stability", "boxes_xyxy"):
        np.testing.assert_array_equal(getattr(ours, name)(), getattr(theirs, name)(), err_msg=name)
        assert getattr(ours, name)().dtype == np.float32
    np.testing.assert_array_equal(ours.stability(offset=0.25), theirs.stability(offset=0.25))


def test_boxes_of_the_degenerate_masks(pair):
    boxes = pair[0].boxes_xyxy()
    assert boxes[0, 0].tolist() == [0, 0, 0, 0]
    assert boxes[0, 1].tolist() == [0, 0, 255, 255]
    assert boxes[1, 0].tolist() == [70, 40, 70, 40]


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_image_logits_equal_those_in_numpy(pair, frame):
    ours, theirs = (each.to_image(frame) for each in pair)
    assert ours.shape == (3, 4, *frame.size_hw)
    np.testing.assert_allclose(ours, theirs, atol=2e-4)


def test_stability_and_boxes_move_no_logits_to_the_host(pair, monkeypatch):
    moved = []
    to_array = runtime._to_array
    monkeypatch.setattr(runtime, "_to_array", lambda tensor: moved.append(tensor.numel()) or to_array(tensor))
    pair[0].stability()
    pair[0].boxes_xyxy()
    assert moved == [12, 48]


@pytest.mark.parametrize("upscaled_before", [False, True])
def test_keep_takes_pairs(pair, upscaled_before):
    ours = pair[0]
    if upscaled_before:
        ours.low_res()
    kept = ours.keep([2, 0, 2], [3, 1, 0])
    assert kept.iou.shape == (3, 1)
    np.testing.assert_array_equal(kept.iou[:, 0], IOU[[2, 0, 2], [3, 1, 0]])
    np.testing.assert_array_equal(kept.low_res()[:, 0], LOGITS[[2, 0, 2], [3, 1, 0]])
    np.testing.assert_array_equal(kept.keep([1], [0]).low_res()[:, 0], LOGITS[[0], [1]])


def test_only_what_is_kept_is_upscaled():
    asked = []

    def upscale(rows, columns):
        asked.append(list(zip(rows.tolist(), columns.tolist(), strict=True)))
        return torch.zeros(len(rows), 256, 256)

    logits = TorchMaskLogits(torch.from_numpy(IOU), upscale)
    kept = logits.keep([2, 1], [3, 0])
    assert logits.iou.shape == (3, 4)
    assert asked == []
    kept.stability()
    kept.boxes_xyxy()
    assert asked == [[(2, 3), (1, 0)]]


def test_a_prompt_is_upscaled_once_for_all_its_masks(monkeypatch):
    model = tiny_model()
    backend = TorchBackend(model, model.spec)
    features = backend.encode(np.zeros((1, 3, CANVAS, CANVAS), np.float32))
    rows = []
    upscale = MaskUpscaler.forward
    monkeypatch.setattr(
        MaskUpscaler, "forward", lambda self, *given: rows.append(len(given[-2])) or upscale(self, *given)
    )
    backend.decode(features, CASES["ragged rows"]).keep([0, 0, 0, 2], [1, 2, 3, 1]).low_res()
    assert rows == [1, 1]  # one by one, as suits a CPU


@pytest.fixture(scope="module")
def features():
    """What the tiny model says of two images."""
    pixels = np.random.default_rng(0).standard_normal((IMAGES, 3, CANVAS, CANVAS)).astype(np.float32)
    return dict(TorchBackend(tiny_model(), tiny_model().spec).encode(pixels))


def close(ours, theirs, tolerance=1e-4):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == np.float32
    if ours.size:
        assert np.abs(ours - theirs).max() <= tolerance * max(theirs.std(), 1e-3)


@pytest.mark.parametrize("rows", [{}, {"cpu": 32}], ids=["as on a CPU", "as elsewhere"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_candidates_equal_those_of_the_plain_decoder(features, case, rows, monkeypatch):
    for name in ("ROWS_PER_RUN", "ROWS_PER_UPSCALE") if rows else ():
        monkeypatch.setattr(runtime, name, rows)
    ours, theirs = (
        kind(tiny_model(), tiny_model().spec).decode(features, case) for kind in (TorchBackend, PlainBackend)
    )
    close(ours.iou, theirs.iou)
    close(ours.low_res(), theirs.low_res())
    if len(ours.iou) == 3:
        close(ours.keep([2, 0, 2], [3, 1, 0]).low_res(), theirs.low_res()[[2, 0, 2], [3, 1, 0]][:, None])


@pytest.mark.parametrize(("frozen", "images_kept", "projections"), [(True, 2, 1), (True, 0, 3), (False, 2, 3)])
def test_what_prompts_share_is_kept_for_embeddings_that_cannot_change(
    features, frozen, images_kept, projections, monkeypatch
):
    made = []
    project = ImageProjector.forward
    monkeypatch.setattr(ImageProjector, "forward", lambda self, image: made.append(1) or project(self, image))
    embeddings = features["image_embeddings"].copy()
    embeddings.setflags(write=not frozen)
    backend = TorchBackend(tiny_model(), tiny_model().spec, images_kept=images_kept)
    for _ in range(3):
        backend.decode({"image_embeddings": embeddings}, CASES["more than one run takes"])
    assert len(made) == projections


def changed_by_a_step(decoder):
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=0.01)
    sum(weights.sum() for weights in decoder.parameters()).backward()
    optimizer.step()


CHANGES = {
    "an optimizer's step": changed_by_a_step,
    "other weights are loaded": lambda decoder: decoder.load_state_dict(
        {name: 2 * weights for name, weights in decoder.state_dict().items()}
    ),
    "weights are replaced": lambda decoder: decoder.apply(
        lambda part: (
            isinstance(part, torch.nn.Linear) and setattr(part, "weight", torch.nn.Parameter(part.weight.detach() * 2))
        )
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_model_that_learns_meanwhile_is_seen_as_it_is(features, change):
    model = deepcopy(tiny_model())
    backend = TorchBackend(model, model.spec)
    frozen = {
        name: Embedding({name: array}, FRAMES["one row"], "tiny").features[name] for name, array in features.items()
    }
    before = backend.decode(frozen, CASES["one click"]).low_res()
    change(model.mask_decoder)
    after = backend.decode(frozen, CASES["one click"])
    expected = PlainBackend(model, model.spec).decode(frozen, CASES["one click"])
    close(after.low_res(), expected.low_res())
    close(after.iou, expected.iou)
    assert np.abs(after.low_res() - before).max() > 1e-2 * before.std()


def loud(factor):
    """The tiny model with an encoder whose first convolution is louder by a factor."""
    model = deepcopy(tiny_model())
    with torch.no_grad():
        model.image_encoder.fine[0].norm.weight.mul_(factor)
    return model


PIXELS = np.random.default_rng(0).standard_normal((1, 3, CANVAS, CANVAS)).astype(np.float32)


@pytest.mark.parametrize(("factor", "equal"), [(1.0, False), (1e6, True)])
def test_float16_that_overflows_is_computed_again(factor, equal):
    model = loud(factor)
    whole = TorchBackend(model, model.spec).encode(PIXELS)["image_embeddings"]
    half = TorchBackend(model, model.spec, precision="float16").encode(PIXELS)["image_embeddings"]
    assert half.dtype == np.float32
    assert (half == whole).all() == equal
    close(half, whole, tolerance=0.02)


def test_a_half_encoder_is_that_of_the_weights_as_they_are():
    model = deepcopy(tiny_model())
    backend = TorchBackend(model, model.spec, precision="bfloat16")
    before = backend.encode(PIXELS)["image_embeddings"]
    model.load_state_dict(loud(3.0).state_dict())
    after = backend.encode(PIXELS)["image_embeddings"]
    close(after, TorchBackend(model, model.spec).encode(PIXELS)["image_embeddings"], tolerance=0.1)
    assert np.abs(after - before).max() > before.std()


def test_an_unknown_precision_is_named():
    with pytest.raises(BackendError, match='no precision "float4": use float32, bfloat16, float16'):
        TorchBackend(tiny_model(), tiny_model().spec, precision="float4")


@pytest.mark.parametrize(("device", "precision"), [("cuda", "float16"), ("cuda:1", "float16"), ("cpu", "float32")])
def test_what_a_device_computes_in_by_itself(device, precision):
    assert runtime.default_precision(device) == precision


def test_channels_last_says_the_same(monkeypatch):
    model = deepcopy(tiny_model())
    before = TorchBackend(model, model.spec).encode(PIXELS)["image_embeddings"]
    monkeypatch.setattr(runtime, "CHANNELS_LAST_ON", ("cpu",))
    after = TorchBackend(model, model.spec).encode(PIXELS)["image_embeddings"]
    close(after, before)
    assert model.image_encoder.fine[0].conv.weight.is_contiguous(memory_format=torch.channels_last)


class FakeGraph:
    """Stands in for a captured encoder; `fails` at capturing where it is told to."""

    fails = False

    def __init__(self, module, pixels):
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.side = pixels.shape[0]

    def __call__(self, pixels):
        return {"image_embeddings": np.full(self.side, 7.0)}


@pytest.mark.parametrize("fails", [False, True])
def test_a_shape_that_comes_again_is_captured(monkeypatch, fails):
    monkeypatch.setattr(runtime, "CAPTURED_ON", ("cpu",))
    monkeypatch.setattr(runtime, "_Captured", FakeGraph)
    monkeypatch.setattr(FakeGraph, "fails", fails)
    backend = TorchBackend(tiny_model(), tiny_model().spec)
    seen = [backend.encode(np.repeat(PIXELS, images, axis=0))["image_embeddings"] for images in (1, 2, 1, 1, 2, 3, 3)]
    captured = [array.ndim == 1 for array in seen]
    assert captured == [False, False, *[not fails] * 3, False, False]  # two shapes at most


def test_the_decoder_is_folded_where_the_model_lies():
    with torch.device("meta"):
        model = Sam(tiny_model().spec, torch.nn.Identity())
    projector = ImageProjector(model.mask_decoder, model.prompt_encoder)
    assert {weights.device.type for weights in projector.parameters()} == {"meta"}


def test_no_candidates():
    none = TorchMaskLogits(torch.zeros(0, 4), lambda rows, _: torch.zeros(len(rows), 256, 256))
    assert none.low_res().shape == (0, 4, 256, 256)
    assert none.stability().shape == (0, 4)
    assert none.boxes_xyxy().shape == (0, 4, 4)


def test_ragged_rows_get_what_they_get_alone():
    model = tiny_model()
    backend = TorchBackend(model, model.spec)
    features = backend.encode(np.ones((1, 3, CANVAS, CANVAS), np.float32))
    points_xy, labels = CASES["ragged rows"].points_xy, CASES["ragged rows"].labels
    together = backend.decode(features, PromptTokens(points_xy, labels))
    for row, length in enumerate((labels != -10).sum(axis=1)):
        alone = backend.decode(
            features, PromptTokens(points_xy[row : row + 1, :length], labels[row : row + 1, :length])
        )
        np.testing.assert_allclose(alone.iou[0], together.iou[row], atol=1e-5)


def test_the_model_is_put_in_eval_mode():
    model = tiny_model()
    model.train()
    TorchBackend(model, model.spec)
    assert not model.training


@pytest.mark.parametrize("device", ["abacus", "meta:9:9", "mps:9"])
def test_a_device_that_is_not_there_is_one_sentence(device):
    with pytest.raises(BackendError, match=f'cannot use the device "{device}"') as caught:
        TorchBackend(tiny_model(), tiny_model().spec, device)
    assert len(str(caught.value)) < 300  # of "mps" torch tells which of its 40 kinds it was built with


def test_tensors_are_copies_that_can_be_written():
    array = np.arange(6.0).reshape(2, 3)[:, ::-1]
    array.setflags(write=False)
    tensor = to_tensor(array, "cpu")
    tensor[0, 0] = 9
    assert array[0, 0] == 2
    assert tensor.dtype == torch.float64
    assert tensor.tolist() == [[9, 1, 0], [5, 4, 3]]


@pytest.mark.parametrize("threads", [1, 2])
def test_prompts_are_decoded_side_by_side_and_threads_are_put_back(threads):
    """The same answers on one thread and on several, and torch's number of threads is as it was."""
    before = torch.get_num_threads()
    backend = TorchBackend(tiny_model().eval(), tiny_model().spec)
    points = RANDOM.random((9, 1, 2)).astype(np.float32) * 900
    tokens = PromptTokens(points, np.ones((9, 1), np.int64))
    features = backend.encode(np.ones((1, 3, CANVAS, CANVAS), np.float32))
    torch.set_num_threads(threads)
    try:
        answers = backend.decode(features, tokens)
        low_res = answers.low_res()
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    one_by_one = [
        backend.decode(features, PromptTokens(points[i : i + 1], np.ones((1, 1), np.int64))) for i in range(9)
    ]
    np.testing.assert_allclose(answers.iou, np.concatenate([each.iou for each in one_by_one]), atol=1e-5)
    np.testing.assert_allclose(low_res, np.concatenate([each.low_res() for each in one_by_one]), atol=1e-3)


def test_an_error_in_a_lane_is_raised_and_threads_are_put_back():
    before = torch.get_num_threads()
    backend = TorchBackend(tiny_model(), tiny_model().spec)
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError):
            backend._side_by_side(lambda item: 1 // item, [1, 0, 1])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
