from __future__ import annotations

import cv2
import numpy as np
import pytest

from samlet.geometry.boxes import boxes_from_masks
from samlet.geometry.frames import ImageFrame
from samlet.geometry.patches import Patch
from samlet.geometry.regions import stability_score
from samlet.geometry.rle import decode, encode
from samlet.geometry.windows import Window

SIZES = {
    "landscape": (120, 200),
    "larger than the canvas": (1100, 700),
    "portrait": (333, 77),
    "smaller than the logits": (20, 20),
    "one row": (1, 300),
    "one column": (90, 1),
}


def blobs(blur, shift):
    noise = np.random.default_rng(1).standard_normal((256, 256)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), blur)
    return smooth / smooth.std() * 3 - shift


def test_what_lies_beyond_a_patch_is_sampled_as_surely_outside():
    frame = ImageFrame((120, 200), 1024, 1024)
    low_res = np.full((256, 256), -9, np.float32)
    low_res[40:60, 100:140] = 3
    window, size_hw = Window(60, 20, 130, 60), (40, 70)
    sampled = Patch.cut(low_res, frame, -1.0).sample(window, size_hw)
    np.testing.assert_array_equal(sampled > 0, frame.sample_logits(low_res, window.xyxy, size_hw) > 0)
    assert sampled.min() == -9  # three pixels around the mask are known
    assert sampled[0, 0] == -4


SHAPES = {
    "blobs": blobs(12, 3),
    "specks": blobs(2, 10),
    "nearly all": blobs(20, -9),
    "all": np.full((256, 256), 5, np.float32),
    "nothing": np.full((256, 256), -5, np.float32),
    "nothing but the padding": np.where(np.arange(256) > 253, 9, -9)[:, None].repeat(256, 1).astype(np.float32),
}


@pytest.mark.parametrize("low_res", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("size_hw", SIZES.values(), ids=SIZES)
def test_a_patch_knows_what_the_whole_image_would_say(size_hw, low_res):
    frame = ImageFrame(size_hw, 1024)
    logits = frame.logits_to_image(low_res)
    patch = Patch.cut(low_res, frame, -1.0)
    assert (decode(patch.answer(1.0)[0]) != (logits > 0)).sum() <= 2  # a logit of 0 but for the last digit
    np.testing.assert_allclose(patch.image_box(), boxes_from_masks(logits > 0), atol=1)
    assert patch.stability(1.0) == pytest.approx(float(stability_score(logits)), abs=1e-3)


@pytest.mark.parametrize("size_hw", [(600, 800), (300, 200), (64, 64)])
def test_the_estimate_of_stability_is_within_its_margin_for_things(size_hw):
    y, x = np.mgrid[:256, :256]
    for radius in (3, 8, 20, 60, 100):
        disc = (radius - np.hypot(x - 90, y - 70)).astype(np.float32)
        patch = Patch.cut(disc, ImageFrame(size_hw, 1024), -1.0)
        estimate, margin = patch.estimate_stability(1.0)
        assert abs(estimate - patch.stability(1.0)) <= margin


def test_a_patch_is_small_and_its_own():
    low_res = np.full((256, 256), -9, np.float32)
    low_res[40:50, 100:120] = 9
    patch = Patch.cut(low_res, ImageFrame((256, 256), 1024), -1.0)
    assert patch.logits.shape == (16, 26)
    low_res[:] = 0
    assert patch.logits.max() == 9


def test_a_mask_of_a_crop_is_laid_into_its_image():
    low_res = np.full((256, 256), -9, np.float32)
    low_res[:20, :20] = 9
    frame = ImageFrame((64, 64), 1024)
    whole = np.zeros((100, 200), bool)
    whole[10:74, 30:94] = frame.logits_to_image(low_res) > 0
    assert Patch.cut(low_res, frame, -1.0).answer(1.0, (30, 10), (100, 200))[0] == encode(whole)


@pytest.mark.parametrize("low_res", SHAPES.values(), ids=SHAPES)
def test_bands_of_rows_change_no_bit(low_res, monkeypatch):
    patch = Patch.cut(low_res, ImageFrame((1100, 700), 1024), -1.0)
    whole = patch.answer(1.0), patch.stability(1.0)
    monkeypatch.setattr("samlet.geometry.patches.BAND_PX", 700)
    monkeypatch.setattr("samlet.geometry.rle._UNPACKED_PX", 9000)
    assert (patch.answer(1.0), patch.stability(1.0)) == whole
