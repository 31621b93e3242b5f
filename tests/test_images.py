import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from tests import filler

from samlet import images
from samlet.errors import ImageError
from samlet.images import decode_image, decode_levels, read_image, upright_size

PICTURE = filler.image(40, 60)
GRAY = PICTURE[..., 0]


def written(folder, name, image, **options):
    path = folder / name
    image.save(path, **options)
    return path


def test_png_as_path_and_as_text(tmp_path):
    path = written(tmp_path, "a.png", Image.fromarray(PICTURE))
    for source in (path, str(path)):
        image = read_image(source)
        np.testing.assert_array_equal(image, PICTURE)
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous


def test_jpeg(tmp_path):
    path = written(tmp_path, "a.jpg", Image.fromarray(PICTURE), quality=100, subsampling=0)
    assert np.abs(read_image(path).astype(int) - PICTURE).mean() < 2


def test_the_ending_of_the_name_does_not_matter(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "picture.dat", format="PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "picture.dat"), PICTURE)


def test_grayscale(tmp_path):
    image = read_image(written(tmp_path, "a.png", Image.fromarray(GRAY)))
    np.testing.assert_array_equal(image, np.stack([GRAY] * 3, axis=-1))


def test_1_bit(tmp_path):
    image = read_image(written(tmp_path, "a.png", Image.fromarray(GRAY > 90)))
    np.testing.assert_array_equal(image[..., 1], np.where(GRAY > 90, 255, 0))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_keeps_its_full_range(tmp_path, name):
    levels = GRAY.astype(np.uint16) * 257
    image = read_image(written(tmp_path, name, Image.fromarray(levels)))
    np.testing.assert_array_equal(image[..., 0], GRAY)


def test_16_bit_color(tmp_path):
    """Pillow cannot write it, so by hand: a PNG of 2 x 1 pixels."""
    rows = b"\x00" + struct.pack(">6H", 0xFFFF, 0, 0, 0, 0x8080, 0xFFFF)
    path = tmp_path / "a.png"
    path.write_bytes(png(2, 1, depth=16, rows=rows))
    assert read_image(path).tolist() == [[[255, 0, 0], [0, 128, 255]]]


@pytest.mark.parametrize(
    "levels",
    [
        np.float32([[-0.5, 0.0, 0.5]]),
        np.float64([[-0.5, 0.0, 0.5]]).astype(np.float32) * np.float32(1e30),
        np.int32([[-70_000, 0, 70_000]]),
        np.int32([[0, 1 << 30, np.iinfo(np.int32).max]]),
        np.float32([[-3e38, 0, 3e38]]),
    ],
)
def test_numbers_of_no_known_white_are_stretched_by_their_own_range(tmp_path, levels):
    path = written(tmp_path, "a.tif", Image.fromarray(levels))
    for image in (read_image(path), read_image(Image.fromarray(levels))):
        assert image.shape == (1, 3, 3)
        np.testing.assert_allclose(image[0, :, 0], [0, 127.5, 255], atol=0.5)


def test_signed_values_of_16_bits(tmp_path):
    """Pillow reads them but writes none."""
    (tmp_path / "a.tif").write_bytes(tiff(1, 16, 2, pixels=struct.pack("<4h", -1000, 0, 0, 1000)))
    assert read_image(tmp_path / "a.tif")[..., 0].tolist() == [[0, 128], [128, 255]]


def test_what_is_no_number_is_black_and_said(tmp_path):
    levels = np.float32([[np.nan, 5, 6], [np.inf, 7, -np.inf]])
    path = written(tmp_path, "a.tif", Image.fromarray(levels))
    with pytest.warns(UserWarning, match=r"a\.tif: 3 of 6 pixels are NaN or infinite; they are black"):
        image = read_image(path)
    assert image[..., 0].tolist() == [[0, 0, 128], [0, 255, 0]]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_picture_without_a_number_is_refused(tmp_path, value):
    path = written(tmp_path, "a.tif", Image.fromarray(np.full((4, 5), value, np.float32)))
    with pytest.raises(ImageError, match=r"a\.tif holds no finite number"):
        read_image(path)


def test_equal_floats_are_black(tmp_path):
    assert not read_image(written(tmp_path, "a.tif", Image.fromarray(np.full((4, 5), 0.5, np.float32)))).any()


def test_cmyk(tmp_path):
    cmyk = Image.new("CMYK", (6, 4), (0, 255, 255, 0))
    red = read_image(written(tmp_path, "a.tif", cmyk))
    assert (red == (255, 0, 0)).all()


def test_cmyk_jpeg(tmp_path):
    image = read_image(written(tmp_path, "a.jpg", Image.fromarray(PICTURE).convert("CMYK"), quality=100))
    assert np.abs(image.astype(int) - PICTURE).mean() < 5


def test_palette(tmp_path):
    paletted = Image.fromarray(PICTURE).quantize(16)
    image = read_image(written(tmp_path, "a.png", paletted))
    np.testing.assert_array_equal(image, np.asarray(paletted.convert("RGB")))


def test_a_transparent_palette_color_becomes_white(tmp_path):
    paletted = Image.new("P", (2, 1))
    paletted.putpalette([10, 20, 30, 40, 50, 60])
    paletted.putpixel((1, 0), 1)
    path = written(tmp_path, "a.png", paletted, transparency=1)
    assert read_image(path).tolist() == [[[10, 20, 30], [255, 255, 255]]]


RGBA = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]]], np.uint8)
ON_WHITE = [[[200, 100, 0], [255, 255, 255], [244, 224, 204]]]


def test_rgba_is_laid_on_white(tmp_path):
    assert read_image(written(tmp_path, "a.png", Image.fromarray(RGBA))).tolist() == ON_WHITE
    assert read_image(RGBA).tolist() == ON_WHITE
    assert read_image(Image.fromarray(RGBA)).tolist() == ON_WHITE


def test_gray_with_alpha_is_laid_on_white(tmp_path):
    pixels = np.array([[[90, 255], [90, 0]]], np.uint8)
    assert read_image(written(tmp_path, "a.png", la(pixels)))[..., 0].tolist() == [[90, 255]]


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
def test_the_first_frame_of_an_animation(tmp_path, name):
    frames = [Image.new("RGB", (6, 4), color) for color in ("red", "lime", "blue")]
    options = {"lossless": True} if name.endswith("webp") else {}
    path = written(tmp_path, name, frames[0], save_all=True, append_images=frames[1:], **options)
    assert (read_image(path) == (255, 0, 0)).all()


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda image: image),
        (3, lambda image: image[::-1, ::-1]),
        (6, lambda image: np.rot90(image, -1)),  # a camera turned left
        (8, lambda image: np.rot90(image, 1)),
        (5, lambda image: image.transpose(1, 0, 2)),
    ],
)
def test_exif_orientation(tmp_path, orientation, undo):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = written(tmp_path, "a.png", Image.fromarray(PICTURE), exif=exif)
    np.testing.assert_array_equal(read_image(path), undo(PICTURE))
    with Image.open(path) as opened:
        np.testing.assert_array_equal(read_image(opened), undo(PICTURE))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.tif", "a.jpg", "a.png", "a.webp"])
def test_the_size_in_the_header_is_the_size_that_is_read(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = written(tmp_path, name, Image.fromarray(PICTURE), exif=exif)
    size_hw = (60, 40) if orientation > 4 else (40, 60)
    assert upright_size(path, "a") == upright_size(path.read_bytes(), "a") == size_hw
    assert read_image(path).shape[:2] == decode_image(path.read_bytes(), "a").shape[:2] == size_hw


def test_exif_that_cannot_be_written_again_is_no_damage(tmp_path):
    """Resolution unit 2 as a signed short with a value no unsigned one can hold, beside orientation 6."""
    entries = struct.pack(">HHII", 0x0100, 8, 1, 0xFFFF0000) + struct.pack(">HHII", 0x0112, 3, 1, 6 << 16)
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 2) + entries + bytes(4)
    path = written(tmp_path, "a.jpg", Image.fromarray(PICTURE), exif=exif)
    assert read_image(path).shape == (60, 40, 3)


def test_exif_beyond_reading_leaves_the_pixels_alone(tmp_path):
    path = written(tmp_path, "a.jpg", Image.fromarray(PICTURE), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert read_image(path).shape == PICTURE.shape
    assert upright_size(path, "a") == PICTURE.shape[:2]


@pytest.mark.parametrize(("bits", "name"), [(8, "a.png"), (10, "a.tif"), (12, "a.png"), (14, "a.tif"), (16, "a.png")])
def test_a_sensor_of_fewer_bits_is_stretched_by_its_own_range(tmp_path, bits, name):
    white = 2**bits - 1
    levels = np.linspace(0, white, 2400).astype(np.uint16).reshape(40, 60)
    image = read_image(written(tmp_path, name, Image.fromarray(levels)))
    np.testing.assert_array_equal(image[..., 0], np.rint(levels * (255 / white)).astype(np.uint8))
    ok, color = cv2.imencode(name[1:], np.dstack([levels, levels // 2, levels // 4]))
    assert ok
    (tmp_path / name).write_bytes(color.tobytes())
    expected = np.stack([levels // 4, levels // 2, levels], -1) * (255 / white)
    assert np.abs(read_image(tmp_path / name) - expected).max() <= 1


def test_a_dark_picture_with_alpha_keeps_its_alpha(tmp_path):
    levels = np.full((4, 6, 4), 4095, np.uint16)
    levels[..., 3] = 65535
    levels[0, 0, 3] = 0
    levels[1] = (0, 0, 0, 65535)
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", levels)[1].tobytes())
    image = read_image(tmp_path / "a.png")
    assert image[0].min() == 255
    assert image[1].max() == 0


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (np.float32, r"3 bands of 32-bit floats"),
        (np.int16, r"3 bands of 16-bit signed integers"),
    ],
)
def test_a_tiff_that_cannot_be_read_is_described(tmp_path, layout, words):
    kinds = {np.float32: (32, 3), np.int16: (16, 2)}
    (tmp_path / "a.tif").write_bytes(tiff(3, *kinds[layout]))
    with pytest.raises(ImageError, match=rf"a\.tif is a TIFF of {words}; samlet reads .*: convert it"):
        read_image(tmp_path / "a.tif")


def test_bands_in_planes_are_named(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(8, 16, 1, planar=2))
    with pytest.raises(ImageError, match="8 bands of 16-bit unsigned integers, one plane after the other"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("content", [b"II*\0\xff\xff\xff\x7f", b"MM\0*\0\0\0\x08\xff\xff", b"II+\0\x08\0"])
def test_a_tiff_without_sound_tags_is_no_image(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ImageError, match=r"is not an image|damaged"):
        read_image(tmp_path / "a.tif")


def test_only_formats_of_the_list_are_opened(tmp_path, monkeypatch):
    """EPS would start Ghostscript."""
    marker = tmp_path / "ran"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {marker}\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    for kind in ("ppm", "sgi", "ico", "tga", "pcx"):
        Image.fromarray(PICTURE).save(tmp_path / f"{kind}.jpg", kind)
    for path in tmp_path.glob("*.jpg"):
        with pytest.raises(ImageError, match="is not an image that can be read: use JPEG"):
            read_image(path)
    assert not marker.exists()


@pytest.mark.skipif("AVIF" not in images._formats(), reason="this Pillow has no AVIF")
def test_avif(tmp_path):
    assert np.abs(read_image(written(tmp_path, "a.avif", Image.fromarray(PICTURE))).astype(int) - PICTURE).mean() < 20


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 60), (60, 1)])
def test_a_line_of_pixels(tmp_path, size_hw):
    path = written(tmp_path, "a.png", Image.new("RGB", size_hw[::-1], "red"))
    assert read_image(path).shape == (*size_hw, 3)


def test_a_large_photo_is_read_without_a_word_of_pillow(tmp_path):
    path = written(tmp_path, "a.png", Image.new("1", (10_000, 9_100)))
    assert upright_size(path, "a") == (9_100, 10_000)


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="it is a FIFO, not a file"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16"])
def test_levels_are_read_as_they_are_stored(tmp_path, mode):
    levels = Image.new(mode, (6, 4), 1)
    stored = decode_levels(written(tmp_path, "a.png", levels), "a")
    assert stored.shape == (4, 6)
    assert (stored == 1).all()
    with pytest.raises(ImageError, match="has color"):
        decode_levels(written(tmp_path, "b.png", Image.fromarray(PICTURE)), "b")


def test_pil_images_of_any_mode():
    for mode in ("RGB", "L", "P", "CMYK", "YCbCr", "HSV", "LAB", "1", "RGBA", "LA", "I", "I;16"):
        assert read_image(Image.new(mode, (6, 4))).shape == (4, 6, 3), mode


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (PICTURE, PICTURE),
        (GRAY, np.stack([GRAY] * 3, axis=-1)),
        (GRAY[..., None], np.stack([GRAY] * 3, axis=-1)),
        (PICTURE[:, ::-1], PICTURE[:, ::-1]),  # a view with negative strides
        (PICTURE[..., ::-1], PICTURE[..., ::-1]),
    ],
)
def test_arrays(array, expected):
    image = read_image(array)
    np.testing.assert_array_equal(image, expected)
    assert image.flags.c_contiguous


def test_a_crop_is_not_copied():
    crop = PICTURE[1:4, 2:6]
    assert read_image(crop) is crop
    assert read_image(PICTURE[::-1]).flags.c_contiguous  # bottom up: OpenCV wants none such


REFUSED_ARRAYS = {
    "floats": (PICTURE / 255, "uint8, not float64: scale it to 0..255"),
    "16 bits": (PICTURE.astype(np.uint16), "not uint16: convert it with .*// 257"),
    "booleans": (GRAY > 90, r"not bool: convert it with \(image \* 255\)"),
    "int64": (PICTURE.astype(np.int64), r"not int64: convert it with \.astype"),
    "objects": (np.array([[None]]), "not object"),
    "channels first": (PICTURE.transpose(2, 0, 1), r"not \[3, 40, 60\]"),
    "a batch": (PICTURE[None], r"not \[1, 40, 60, 3\]"),
    "two channels": (PICTURE[..., :2], r"not \[40, 60, 2\]"),
    "a line": (PICTURE[0, :, 0], r"not \[60\]"),
    "no rows": (PICTURE[:0], r"not \[0, 60, 3\]"),
    "too large": (np.broadcast_to(np.uint8(0), (10_001, 10_000)), r"\(10000 x 10001 pixels\) is larger than 100 mega"),
}


@pytest.mark.parametrize(("array", "sentence"), REFUSED_ARRAYS.values(), ids=REFUSED_ARRAYS.keys())
def test_an_array_that_is_no_image(array, sentence):
    with pytest.raises(ImageError, match=sentence):
        read_image(array)


@pytest.mark.parametrize("source", [None, 7, [[1, 2]], io.StringIO()])
def test_other_things_are_refused_by_type(source):
    with pytest.raises(ImageError, match=f"not {type(source).__name__}"):
        read_image(source)


def test_a_missing_file(tmp_path):
    with pytest.raises(ImageError, match=r"none\.jpg does not exist"):
        read_image(tmp_path / "none.jpg")


def test_a_folder(tmp_path):
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)


def test_an_empty_file(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ImageError, match="is an empty file"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("content", [b"hello, this is no image", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"<svg/>"])
def test_a_file_that_is_no_image(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.jpg is not an image"):
        read_image(tmp_path / "a.jpg")


def test_a_name_that_cannot_be_a_file():
    with pytest.raises(ImageError):
        read_image("x" * 5000)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "a.bmp", "a.gif"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_file(tmp_path, name, share):
    path = written(tmp_path, name, Image.fromarray(filler.image(200, 300)))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ImageError, match=name):
        read_image(path)


def test_a_damaged_file(tmp_path):
    path = written(tmp_path, "a.png", Image.fromarray(PICTURE))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ImageError, match="damaged or truncated"):
        read_image(path)


@pytest.mark.parametrize(("width", "height"), [(20_000, 10_000), (50_000, 40_000), (12_000, 10_000)])
def test_a_bomb_is_refused_by_its_header(tmp_path, width, height):
    """The file holds a header and no pixels: decoding would fail otherwise."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png(width, height, depth=8, rows=b""))
    with pytest.raises(ImageError, match=r"bomb\.png.* is larger than 100 megapixels: shrink it") as caught:
        read_image(path)
    assert str(caught.value).count(".") == 2  # the name's and the sentence's


def test_a_bomb_is_refused_where_warnings_are_errors(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(12_000, 10_000, depth=8, rows=b""))
    with pytest.raises(ImageError, match="larger than 100 megapixels"):
        read_image(path)


def test_a_pil_bomb_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    with pytest.raises(ImageError, match=r"The image \(60 x 40 pixels\)"):
        read_image(Image.fromarray(PICTURE))


def la(pixels):
    return Image.merge("LA", [Image.fromarray(pixels[..., channel].copy()) for channel in (0, 1)])


def tiff(bands, bits, sample_format, planar=1, pixels=b""):
    """A TIFF of 2 x 2 pixels, or only its header; several bands are RGB."""
    start = 8 + 2 + 11 * 12 + 4
    tags = [
        (256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, 2 if bands > 1 else 1),
        (273, 4, 1, start), (277, 3, 1, bands), (278, 3, 1, 2), (279, 4, 1, len(pixels)),
        (284, 3, 1, planar), (339, 3, 1, sample_format),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + pixels


def png(width, height, depth, rows):
    """An RGB PNG from its unpacked rows."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_the_bytes_of_a_file_and_an_open_file_are_images(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3)).save(path)
    expected = read_image(path)
    content = path.read_bytes()
    with path.open("rb") as file:
        for source in (content, bytearray(content), memoryview(content), io.BytesIO(content), file):
            np.testing.assert_array_equal(read_image(source), expected)


@pytest.mark.parametrize("source", [b"", b"bytes", io.BytesIO(), io.BytesIO(b"text")])
def test_bytes_that_are_no_image_are_refused(source):
    with pytest.raises(ImageError, match=r"^The image is (an empty file|not an image)"):
        read_image(source)


def test_an_address_is_not_fetched():
    with pytest.raises(ImageError, match=r"https://a/b\.jpg is an address: samlet fetches no images"):
        read_image("https://a/b.jpg")
