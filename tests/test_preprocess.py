import hashlib

import numpy as np
import pytest
from PIL import Image
from tests import filler, official

from samlet.preprocess import resize, to_pixels
from samlet.spec import ImageSpec

CASES = [(name, case) for name, case in official.numbers("preprocess").items() if name != "source"]


def parse(name):
    canvas, size = name.split(",")
    height, width = (int(side) for side in size.split("x"))
    return int(canvas), (height, width)


@pytest.mark.parametrize(("name", "expected"), CASES)
def test_pixels_are_the_official_ones(name, expected):
    canvas, size_hw = parse(name)
    pixels, frame = to_pixels(filler.image(*size_hw), ImageSpec(canvas))
    assert pixels.dtype == np.float32
    assert filler.difference(pixels, expected["preprocessed"]) < 2e-5
    assert frame.size_hw == size_hw
    assert frame.prompt_hw == tuple(expected["prompt_hw"])


@pytest.mark.parametrize(("name", "expected"), [case for case in CASES if "resized_sha256_16" in case[1]])
def test_the_resized_image_is_the_official_one_to_the_byte(name, expected):
    _, size_hw = parse(name)
    resized = resize(filler.image(*size_hw), tuple(expected["prompt_hw"]))
    channels_first = np.ascontiguousarray(resized.transpose(2, 0, 1))
    assert hashlib.sha256(channels_first.tobytes()).hexdigest()[:16] == expected["resized_sha256_16"]


def test_padding_is_zero_after_normalizing():
    pixels, frame = to_pixels(np.full((20, 80, 3), 255, np.uint8), ImageSpec(64))
    assert frame.content_hw == (16, 64)
    assert (pixels[:, :16] > 2).all()
    assert (pixels[:, 16:] == 0).all()


def test_an_image_of_the_canvas_size_is_not_resampled(monkeypatch):
    monkeypatch.setattr(Image.Image, "resize", None)
    image = filler.image(48, 64)
    pixels, _ = to_pixels(image, ImageSpec(64, mean=(0, 0, 0), std=(1, 1, 1)))
    np.testing.assert_array_equal(pixels[:, :48], image.transpose(2, 0, 1))


def test_channels_are_normalized_each_by_its_own():
    pixels, _ = to_pixels(np.full((8, 8, 3), 100, np.uint8), ImageSpec(8, mean=(100, 0, 50), std=(1, 50, 10)))
    assert pixels[:, 0, 0].tolist() == [0, 2, 5]


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_thin_and_tiny_images(size_hw):
    pixels, frame = to_pixels(np.full((*size_hw, 3), 200, np.uint8), ImageSpec(32))
    height, width = frame.content_hw
    assert min(height, width) >= 1
    assert (pixels[:, :height, :width] > 0).all()


def test_the_image_is_left_alone():
    image = filler.image(30, 40)
    before = image.copy()
    to_pixels(image, ImageSpec(64))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("size_hw", [(400, 600), (90, 1000), (1000, 90), (333, 334)])
def test_a_large_image_is_scaled_a_band_at_a_time(monkeypatch, size_hw):
    image = filler.image(*size_hw)
    at_once = resize(image, (60, 50)).astype(int)
    monkeypatch.setattr("samlet.preprocess.LARGEST_COPY_PX", 0)
    monkeypatch.setattr("samlet.geometry.bands.BAND_PX", 5000)
    assert np.abs(resize(image, (60, 50)) - at_once).max() <= 1  # Pillow may take columns first


def test_a_crop_is_scaled_as_a_copy_of_it_would_be(monkeypatch):
    monkeypatch.setattr("samlet.geometry.bands.BAND_PX", 1000)
    crop = filler.image(90, 120)[20:80, 30:110]
    np.testing.assert_array_equal(resize(crop, (41, 52)), resize(np.ascontiguousarray(crop), (41, 52)))
