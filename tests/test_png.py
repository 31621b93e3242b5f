from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from samlet import png
from samlet.errors import OutputError
from samlet.geometry import bands
from samlet.geometry.bands import LabelRows
from samlet.geometry.rle import encode
from samlet.png import classes_png, labels_png, mask_png, picture_png, png_chunks

RANDOM = np.random.default_rng(3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (1, 300), (300, 1), (6, 7, 3), (1, 1, 3)])
@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_every_reader_reads_it(dtype, shape, rows):
    pixels = RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype)
    parts = [pixels[top : top + rows] for top in range(0, shape[0], rows)]
    content = b"".join(png_chunks(parts, shape[:2], b"Software\0samlet"))
    read = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read, pixels if pixels.ndim == 2 else pixels[..., ::-1])
    with Image.open(io.BytesIO(content)) as image:
        assert image.info == {"Software": "samlet"}
        if not (dtype == np.uint16 and pixels.ndim == 3):  # of which Pillow keeps the high bytes
            np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.fixture(autouse=True)
def small_bands(monkeypatch):
    monkeypatch.setattr(bands, "BAND_PX", 50)


def read(pieces):
    with Image.open(io.BytesIO(b"".join(pieces))) as image:
        return np.asarray(image)


@pytest.mark.parametrize("size_hw", [(30, 20), (7, 5), (1, 17), (9, 1)])
def test_a_large_mask_has_one_bit_a_pixel_and_reads_the_same(size_hw, monkeypatch):
    mask = RANDOM.random(size_hw) < 0.5
    large = b"".join(mask_png(encode(mask), b"Software\0samlet"))
    monkeypatch.setattr(png, "ONE_BIT_PX", 0)
    one_bit = b"".join(mask_png(encode(mask), b"Software\0samlet"))
    with Image.open(io.BytesIO(one_bit)) as image:
        assert (image.mode, image.info) == ("1", {"Software": "samlet"})
        np.testing.assert_array_equal(np.asarray(image), mask)
    for flag in (cv2.IMREAD_UNCHANGED, cv2.IMREAD_GRAYSCALE):
        levels = [cv2.imdecode(np.frombuffer(content, np.uint8), flag) for content in (one_bit, large)]
        np.testing.assert_array_equal(*levels)


def test_masks_labels_and_pictures():
    mask = RANDOM.random((30, 20)) < 0.5
    np.testing.assert_array_equal(read(mask_png(encode(mask))), np.where(mask, 255, 0))
    labels = read(labels_png(LabelRows([encode(mask), encode(~mask)], mask.shape)))
    assert set(np.unique(labels)) == {1, 2}
    picture = RANDOM.integers(0, 256, (30, 20, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read(picture_png(picture)), picture)


def test_more_masks_than_numbers():
    many = LabelRows([encode(np.ones((1, 1), bool))] * 3, (1, 1))
    assert many.count == 3
    many.count = 65536  # as of so many masks, which take seconds to look at
    with pytest.raises(OutputError, match="65536 masks are more"):
        labels_png(many)


@pytest.mark.parametrize("classes", [2, 256, 300])
def test_a_map_of_classes_has_colors_up_to_256(classes):
    labels = (np.arange(300 * 7).reshape(300, 7) % classes).astype(np.uint16)
    palette = np.random.default_rng(0).integers(0, 256, (classes, 3)).astype(np.uint8)
    with Image.open(io.BytesIO(b"".join(classes_png(labels, palette)))) as image:
        assert (image.mode == "P") == (classes <= 256)
        np.testing.assert_array_equal(np.asarray(image), labels)
        if classes <= 256:
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), palette[labels])
