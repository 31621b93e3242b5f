"""Every family gives the numbers of its official code: names, encoder stages, embeddings, masks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tests import filler, parity
from tests.exact import InFloat64, far, in_float64, one_digit_off
from torch import Tensor

from samlet.geometry.frames import ImageFrame
from samlet.models import Sam, create
from samlet.models.creation import skeleton
from samlet.preprocess import to_pixels
from samlet.sam_api import SamPredictor

EDGE_PIXELS = 5  # so many pixels of a mask may lie so near to the threshold that noise decides

Encoded = list[tuple[dict[str, Any], SamPredictor]]


@pytest.fixture(scope="module")
def numbers(request: pytest.FixtureRequest) -> dict[str, Any]:
    return parity.numbers(request.param)


@pytest.fixture(scope="module")
def model(numbers: dict[str, Any]) -> Sam:
    """With official weights by name. Where they magnify rounding, the encoder computes in float64."""
    module = create(numbers["model"])
    filler.fill_(module)
    if numbers.get("magnifies"):
        module.image_encoder = InFloat64(module.image_encoder)
    return module


@pytest.fixture(scope="module")
def encoded(numbers: dict[str, Any], model: Sam) -> Encoded:
    """The test images, one landscape and one portrait, each with its numbers and a predictor that has seen it."""
    pairs = [(image, SamPredictor(model)) for image in numbers["images"]]
    for image, predictor in pairs:
        predictor.set_image(filler.image(*image["size_hw"]))
    return pairs


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("name", parity.names_with("manifest"))
def test_parameter_names_and_shapes_are_official(name: str) -> None:
    ours = {parameter: list(value.shape) for parameter, value in skeleton(name).state_dict().items()}
    assert ours == parity.numbers(name)["manifest"]


@pytest.mark.parametrize("numbers", parity.models_with("encoder"), indirect=True)
def test_encoder_stages(numbers: dict[str, Any], model: Sam) -> None:
    encoder, canvas = model.image_encoder, model.spec.image.canvas
    stages_of = encoder.network if isinstance(encoder, InFloat64) else encoder
    seen: dict[str, Tensor] = {}
    hooks = [
        stages_of.get_submodule(path).register_forward_hook(lambda _, __, out, path=path: seen.update({path: out}))
        for path in numbers["encoder"]
    ]
    encoder(torch.from_numpy(filler.array("encoder", 1, 3, canvas, canvas)))
    for hook in hooks:
        hook.remove()
    stages = {path: (_as_stored(seen[path], digest), digest) for path, digest in numbers["encoder"].items()}
    assert parity.wrong(stages) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", parity.names_with("magnifies"))
def test_float32_is_as_near_to_exact_numbers_as_its_last_digits_allow(name: str) -> None:
    """The unit is what one rounding of each weight comes to at the end; measured were 2 to 4 (`tests/exact.py`)."""
    encoder = filler.fill_(create(name)).eval().image_encoder
    pixels = torch.from_numpy(filler.array("encoder", 1, 3, 256, 256))
    exact = in_float64(encoder)(pixels.double())
    assert 0 < far(encoder(pixels), exact) < parity.ROUNDINGS * far(one_digit_off(encoder)(pixels.double()), exact)


@pytest.mark.parametrize("numbers", parity.models_with("images"), indirect=True)
def test_image_and_embedding(model: Sam, encoded: Encoded) -> None:
    for image, predictor in encoded:
        pixels, frame = to_pixels(filler.image(*image["size_hw"]), model.spec.image)
        assert list(frame.prompt_hw) == list(predictor.input_size) == image["input_hw"]
        embedding = predictor.get_image_embedding()
        assert parity.wrong({"pixels": (pixels, image["pixels"]), "embedding": (embedding, image["embedding"])}) == {}


@pytest.mark.parametrize("numbers", parity.models_with("images"), indirect=True)
def test_every_prompt(encoded: Encoded) -> None:
    for image, predictor in encoded:
        for name, prompt in image["predictions"].items():
            logits, iou, low_res = predictor.predict(**_arguments(prompt["arguments"]), return_logits=True)
            assert parity.wrong(_decoded(prompt, logits, iou, low_res)) == {}, f"{name} at {image['size_hw']}"
            areas = np.count_nonzero(logits > 0, axis=(1, 2))
            np.testing.assert_allclose(areas, prompt.get("area_px", areas), rtol=0, atol=EDGE_PIXELS)


@pytest.mark.parametrize("numbers", parity.models_with("boxes_batch"), indirect=True)
def test_a_batch_of_boxes(encoded: Encoded) -> None:
    image, predictor = encoded[0]
    case = image["boxes_batch"]
    boxes = predictor.transform.apply_boxes_torch(torch.tensor(case["boxes_xyxy"]), predictor.original_size)
    logits, iou, low_res = predictor.predict_torch(None, None, boxes=boxes, multimask_output=False, return_logits=True)
    outputs = _decoded(case, logits, iou, low_res) | {"boxes": (boxes, case["prompt_boxes_xyxy"])}
    assert parity.wrong(outputs) == {}


@pytest.mark.parametrize("numbers", parity.models_with("boxes_batch"), indirect=True)
def test_points_without_the_padding_token(model: Sam, encoded: Encoded) -> None:
    """What the official decoder exports compute: all four masks, no token beside the point."""
    image, predictor = encoded[0]
    case, spec = image["unpadded_points"], model.spec.image
    frame = ImageFrame(tuple(image["size_hw"]), spec.canvas, spec.prompt_canvas)
    iou, tokens, keys = model.decode_tokens(
        predictor.get_image_embedding(),
        torch.from_numpy(frame.to_prompt(case["points_xy"])),
        torch.tensor(case["labels"]),
    )
    low_res = model.upscale(tokens, keys)
    assert parity.wrong({"low_res": (low_res, case["low_res"]), "iou": (iou, case["iou"])}) == {}


def _as_stored(out: Tensor, digest: dict[str, Any]) -> Tensor:
    """TinyViT's official code keeps maps as [N, H * W, C], ours as [N, C, H, W]."""
    return out.flatten(2).transpose(1, 2) if len(digest["shape"]) == 3 else out


def _arguments(case: dict[str, Any]) -> dict[str, Any]:
    """A prompt as `predict` takes it; lists become arrays and the name of an input that array."""
    arguments = {key: np.array(value) if isinstance(value, list) else value for key, value in case.items()}
    if "mask_input" in case:
        arguments["mask_input"] = filler.array(case["mask_input"], 1, 256, 256)
    return arguments


def _decoded(case: dict[str, Any], logits: Any, iou: Any, low_res: Any) -> dict[str, tuple[Any, dict[str, Any]]]:
    return {"logits": (logits, case["logits"]), "iou": (iou, case["iou"]), "low_res": (low_res, case["low_res"])}
