"""Pictures that are read by windows."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from samlet import images
from samlet.errors import ImageError
from samlet.geometry.windows import Window
from samlet.images import read_image
from samlet.scenes import PhotoScene, is_scene


def _saved(path, mode="RGB", size=(60, 40), **options):
    bands = len(Image.new(mode, (1, 1)).getbands())
    levels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    Image.fromarray(levels if bands > 1 else levels[..., 0], mode).save(path, **options)
    return path


def _rotated(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(path, exif=exif)


def _deep(path):
    levels = np.random.default_rng(0).integers(0, 65536, (40, 60), dtype=np.uint16)
    Image.fromarray(levels).save(path)
    return path


def _palette(path):
    Image.fromarray(np.arange(2400, dtype=np.uint32).astype(np.uint8).reshape(40, 60)).convert("P").save(path)
    return path


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (_saved, "color.png"),
        (_saved, "color.jpg"),
        (_saved, "color.tif"),
        (lambda path: _saved(path, "L"), "gray.png"),
        (lambda path: _saved(path, "RGBA"), "glass.png"),
        (_palette, "palette.png"),
        (_deep, "deep.png"),
        (_rotated, "phone.jpg"),
    ],
)
def test_a_window_has_the_pixels_that_the_whole_image_has_there(make, name, tmp_path):
    path = make(tmp_path / name)
    whole, scene = read_image(path), PhotoScene(path)
    assert scene.size_hw == whole.shape[:2]
    window = Window(7, 5, 31, 38)
    pixels = scene.read(window).pixels
    assert (pixels.dtype, pixels.flags.c_contiguous) == (np.uint8, True)
    assert np.array_equal(pixels, whole[5:38, 7:31])
    reduced = scene.read(window, 5).pixels
    assert reduced.shape == (7, 5, 3)
    assert abs(float(reduced[:6, :4].mean()) - float(whole[5:35, 7:27].mean())) < 1


def test_what_is_a_scene_depends_on_its_pixels_and_larger_ones_are_refused_with_the_option(tmp_path, monkeypatch):
    path = _saved(tmp_path / "a.png")
    assert not is_scene(path)
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    assert is_scene(path)
    assert PhotoScene(path, 2400).size_hw == (40, 60)
    for look in (is_scene, PhotoScene):
        with pytest.raises(ImageError, match=r"a\.png \(60 x 40 pixels\) is larger than .*--max-megapixels"):
            look(path, 2399)


def test_a_bound_below_that_of_photos_is_one_for_photos_too(tmp_path):
    path = _saved(tmp_path / "a.png")
    assert not is_scene(path, 2400)
    with pytest.raises(ImageError, match="--max-megapixels"):
        is_scene(path, 2399)


def test_a_bomb_is_refused_by_its_header(tmp_path):
    path = tmp_path / "bomb.png"
    header = b"IHDR" + struct.pack(">2I5B", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT")
    with pytest.raises(ImageError, match=r"bomb\.png .*larger than 150 megapixels: .*--max-megapixels"):
        is_scene(path)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n broken"])
def test_what_is_no_image_is_told_as_of_photos(content, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.png"):
        is_scene(path)
