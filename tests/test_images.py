import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image
from tests import filler

from samlet import images
from samlet.errors import ImageError
from samlet.images import read_image

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


@pytest.mark.parametrize("levels", [np.full((4, 5), 0.5, np.float32), np.full((4, 5), 70_000, np.int32)])
def test_32_bit_levels_have_no_known_white(tmp_path, levels):
    path = written(tmp_path, "a.tif", Image.fromarray(levels))
    with pytest.raises(ImageError, match=r"32 bits .* convert it to 8 or 16 bits"):
        read_image(path)


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


@pytest.mark.parametrize("source", [None, b"bytes", 7, [[1, 2]], io.BytesIO()])
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own remark on a damaged TIFF
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns from 89 megapixels on
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


def png(width, height, depth, rows):
    """An RGB PNG from its unpacked rows."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
