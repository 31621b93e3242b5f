"""The API over torch modules: tensors in and out, and the same numbers as the official way through the module."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests import filler
from torch import nn

from samlet import models
from samlet.errors import InputError
from samlet.geometry.frames import ImageFrame
from samlet.models.registry import get_spec
from samlet.nn.sam import Sam
from samlet.sam_api import SamAutomaticMaskGenerator, SamPredictor, sam_model_registry

SIZE_HW = (96, 64)


class TinyEncoder(nn.Module):
    """[N, 3, 512, 512] → [N, 256, 64, 64] without the work of a real encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.neck = nn.Conv2d(3, 256, 8, 8)

    def forward(self, pixels):
        return self.neck(pixels)


@pytest.fixture(scope="module")
def module():
    return filler.fill_(Sam(get_spec("efficientvit-sam-b1"), TinyEncoder())).eval()


@pytest.fixture
def predictor(module):
    predictor = SamPredictor(module)
    predictor.set_image(filler.image(*SIZE_HW))
    return predictor


@torch.inference_mode()
def official(module, features, points=None, boxes=None, masks=None, multimask_output=True):
    """Logits at low resolution and predicted IoU, as segment_anything's predict_torch gets them from the module."""
    sparse, dense = module.prompt_encoder(points=points, boxes=boxes, masks=masks)
    return module.mask_decoder(features, module.prompt_encoder.get_dense_pe(), sparse, dense, multimask_output)


POINTS = (torch.tensor([[[10.0, 20.0], [600.0, 900.0]], [[300.0, 300.0], [1.0, 2.0]]]), torch.tensor([[1, 0], [1, 1]]))
BOXES = torch.tensor([[10.0, 20, 500, 900], [100, 100, 300, 250]])
HINTS = torch.from_numpy(filler.array("mask_input", 2, 1, 256, 256))


@pytest.mark.parametrize(
    ("prompt", "multimask"),
    [
        pytest.param({"points": POINTS}, True, id="points"),
        pytest.param({"boxes": BOXES}, False, id="boxes"),
        pytest.param({"points": POINTS, "boxes": BOXES}, False, id="points and boxes"),
        pytest.param({"points": POINTS, "masks": HINTS}, True, id="points and hints"),
        pytest.param({"boxes": BOXES, "masks": HINTS[:1]}, True, id="boxes and one hint for all"),
        pytest.param({"masks": HINTS[:1]}, False, id="a hint alone"),
    ],
)
def test_predict_torch_gives_the_official_numbers(predictor, module, prompt, multimask):
    low_res, iou = official(module, predictor.features, **prompt, multimask_output=multimask)
    points, labels = prompt.get("points", (None, None))
    given = {"boxes": prompt.get("boxes"), "mask_input": prompt.get("masks")}
    masks, scores, logits = predictor.predict_torch(points, labels, **given, multimask_output=multimask)
    torch.testing.assert_close(scores, iou, rtol=0, atol=1e-5)
    torch.testing.assert_close(logits, low_res, rtol=0, atol=1e-4 * float(low_res.std()))
    assert (masks.dtype, masks.shape) == (torch.bool, (*iou.shape, *SIZE_HW))


def test_no_prompt_at_all_gives_the_official_numbers(predictor, module):
    no_token = torch.zeros(1, 0, 256)
    dense = module.prompt_encoder.no_mask_embed.weight.reshape(1, 256, 1, 1).expand(1, 256, 64, 64)
    with torch.inference_mode():
        pe = module.prompt_encoder.get_dense_pe()
        low_res, iou = module.mask_decoder(predictor.features, pe, no_token, dense, True)
    _, scores, logits = predictor.predict()
    assert scores == pytest.approx(iou[0].numpy(), abs=1e-5)
    np.testing.assert_allclose(logits, low_res[0].numpy(), rtol=0, atol=1e-4 * float(low_res.std()))


def test_masks_are_enlarged_by_the_prompt_square(predictor):
    masks, _, low_res = predictor.predict_torch(*POINTS, return_logits=True)
    expected = ImageFrame(SIZE_HW, 512, 1024).logits_to_image(low_res.numpy())
    np.testing.assert_allclose(masks.numpy(), expected, rtol=0, atol=1e-4)


def test_predict_is_predict_torch_in_image_pixels(predictor):
    coords, labels, box = np.array([[20, 30], [50, 80]]), np.array([1, 0]), np.array([5, 10, 60, 90])
    masks, iou, low_res = predictor.predict(coords, labels, box, return_logits=True)
    tensors = predictor.predict_torch(
        predictor.transform.apply_coords_torch(torch.from_numpy(coords), SIZE_HW)[None],
        torch.from_numpy(labels)[None],
        predictor.transform.apply_boxes_torch(torch.from_numpy(box), SIZE_HW),
        return_logits=True,
    )
    for array, tensor in zip((masks, iou, low_res), tensors, strict=True):
        np.testing.assert_allclose(array, tensor[0].numpy(), rtol=0, atol=1e-5)


def test_the_embedding_is_a_tensor(predictor, module):
    embedding = predictor.get_image_embedding()
    assert isinstance(embedding, torch.Tensor)
    assert embedding.shape == (1, 256, 64, 64)
    assert predictor.device == module.device


def test_a_torch_image_gives_the_embedding_of_the_image(predictor):
    expected = predictor.get_image_embedding()
    resized = predictor.transform.apply_image(filler.image(*SIZE_HW))
    predictor.set_torch_image(torch.from_numpy(resized.copy()).permute(2, 0, 1)[None], SIZE_HW)
    torch.testing.assert_close(predictor.get_image_embedding(), expected, rtol=0, atol=1e-5)
    assert predictor.input_size == (1024, 683)


def test_another_module_is_no_model():
    with pytest.raises(InputError, match="not Conv2d"):
        SamPredictor(nn.Conv2d(1, 1, 1))


def test_the_registry_makes_the_official_models(tmp_path):
    module = sam_model_registry["vit_t"]()
    assert module.spec.name == "mobile-sam"
    assert not module.training
    torch.save(module.state_dict(), tmp_path / "mobile_sam.pt")
    loaded = sam_model_registry["vit_t"](checkpoint=tmp_path / "mobile_sam.pt")
    for name, value in loaded.state_dict().items():
        torch.testing.assert_close(value, module.state_dict()[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"points_per_side": 4, "box_nms_thresh": 0.7},
            {
                "area": 42011,
                "bbox": [0, 0, 639, 479],
                "predicted_iou": 0.66699,
                "point_coords": [[560.0, 60.0]],
                "stability_score": 4e-05,
                "crop_box": [0, 0, 640, 480],
            },
        ),
        (
            {"points_per_side": 2, "crop_n_layers": 1, "min_mask_region_area": 50},
            {
                "area": 2629,
                "bbox": [7, 0, 629, 446],
                "predicted_iou": 0.5943,
                "point_coords": [[480.0, 120.0]],
                "stability_score": 3e-05,
                "crop_box": [0, 0, 640, 480],
            },
        ),
    ],
    ids=["image", "crops and small regions"],
)
def test_everything_mode_keeps_the_official_books(settings, expected):
    """Records of segment_anything's generator over MobileSAM with the filler's weights, `filler.image()` as input."""
    module = filler.fill_(models.create("mobile-sam")).eval()
    generator = SamAutomaticMaskGenerator(module, pred_iou_thresh=-1e9, stability_score_thresh=0.0, **settings)
    (record,) = generator.generate(filler.image())
    record.pop("segmentation")
    assert record.pop("area") == pytest.approx(expected.pop("area"), abs=2)  # a pixel's logit may lie on the threshold
    assert record.pop("predicted_iou") == pytest.approx(expected.pop("predicted_iou"), abs=1e-5)
    assert record.pop("stability_score") == pytest.approx(expected.pop("stability_score"), abs=6e-6)
    assert record == expected
