"""Images: anything a user calls a picture, as uint8 RGB [H, W, 3].

Decisions: only the formats of an allow-list are opened; transparency is laid on white; 16-bit values map to 0..255 by
the range they use (a camera's 10, 12 or 14 bits, or all 16); floats and signed values are stretched from their least to
their largest; of an animation the first frame counts; the EXIF orientation is applied; more than 100 megapixels are
refused before a pixel is decoded, unless who asks says how many it may be (`samlet.scenes`).
"""

from __future__ import annotations

import ctypes
import importlib
import io
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from samlet.errors import ImageError
from samlet.geometry.bands import bands_of
from samlet.reading import decoding, reading

MAX_PIXELS = 100_000_000
_URLS = ("http://", "https://")

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | NDArray[Any]
"""What `read_image` takes."""

# Pillow opens some fifty formats, one of them (EPS) by starting Ghostscript.
_PLUGINS = {"JPEG": "Jpeg", "MPO": "Mpo", "PNG": "Png", "TIFF": "Tiff", "WEBP": "WebP", "BMP": "Bmp", "GIF": "Gif"}
_NEWER_PLUGINS = {"AVIF": "Avif"}  # since Pillow 11.3
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset({5, 6, 7, 8})  # orientations that swap width and height
_WHITES = (255, 1023, 4095, 16383, 65535)  # the largest values of 8, 10, 12, 14 and 16 bits
_TAG_ERRORS = (
    OSError, ValueError, TypeError, LookupError, AttributeError, SyntaxError, ArithmeticError, struct.error
)  # fmt: skip
_TIFF_SAMPLES = {1: "unsigned integers", 2: "signed integers", 3: "floats"}


def read_image(source: ImageSource) -> NDArray[np.uint8]:
    """Read a path, the bytes of a file, an open binary file, a PIL image or a uint8 array.

    An array is [H, W], [H, W, 1], RGB [H, W, 3] or RGBA [H, W, 4].

    Returns uint8 RGB [H, W, 3] with rows that are contiguous: the given array itself where it is such, as a crop is.
    Raises ImageError with one sentence for everything that cannot be read.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        with decoding("The image", "an image", ImageError):
            return _decode(source, "The image")
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode_image(bytes(source), "The image")
    if isinstance(source, (io.BufferedIOBase, io.RawIOBase)):
        return decode_image(source.read() or b"", "The image")
    if isinstance(source, str) and source.startswith(_URLS):
        raise ImageError(f"{source} is an address: samlet fetches no images. Download it, and give the file.")
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        with _opened(path, str(path)) as image:
            return _decode(image, str(path), lambda: _opened(path, str(path)))
    raise ImageError(f"An image must be a path, bytes, a PIL image or a NumPy array, not {type(source).__name__}.")


def decode_image(content: bytes, name: str) -> NDArray[np.uint8]:
    """The image in the bytes of a file, as `read_image` reads it; ImageError calls it `name`."""
    with _opened(content, name) as image:
        return _decode(image, name, lambda: _opened(content, name))


def decode_levels(source: Path | bytes, name: str) -> NDArray[Any]:
    """A picture of one channel as it is stored, [H, W]: gray levels of 8 or 16 bits, or indices of its palette.

    What masks and label maps are. Raises ImageError for one of several channels too.
    """
    with _opened(source, name) as image:
        if image.mode not in ("1", "L", "P", "I", "I;16", "I;16B", "I;16L"):
            raise ImageError(f"{name} has color (mode {image.mode}); a mask is a picture of one channel.")
        return np.array(image)


def decode_large(path: Path, most_px: int) -> Image.Image | NDArray[np.uint8]:
    """An image of up to `most_px` pixels, upright: as Pillow holds it where that is 8-bit gray or RGB, else RGB pixels.

    Pillow decodes all of it, to 4 bytes a pixel (gray: 1); parts of it can then be cropped. ImageError as `read_image`.
    """
    with _opened(path, str(path), most_px) as image:
        plain = image.mode in ("L", "RGB") and not image.has_transparency_data and _orientation(image) == 1
        if plain and not any(";16" in mode for mode in _raw_modes(image)):
            image.load()
            return image
        return _decode(image, str(path), lambda: _opened(path, str(path), most_px), most_px)


def upright_size(source: Path | bytes, name: str, most_px: int | None = None) -> tuple[int, int]:
    """(height, width) of an image as `read_image` returns it, from its header; ImageError calls it `name`.

    `most_px` is how many pixels it may have; by default as many as `read_image` reads.
    """
    with _opened(source, name, most_px) as image:
        width, height = _stored_size(image)
        return (width, height) if _orientation(image) in _SIDEWAYS else (height, width)


@contextmanager
def _opened(source: Path | bytes, name: str, most_px: int | None = None) -> Iterator[Image.Image]:
    """An image of a size that can be read, its pixels not decoded yet; whatever the block raises is an ImageError."""
    limit = MAX_PIXELS if most_px is None else most_px
    boundary = reading(source, "an image", ImageError) if isinstance(source, Path) else None
    with boundary or decoding(name, "an image", ImageError):
        size = source.stat().st_size if isinstance(source, Path) else len(source)
        if not size:
            raise ImageError(f"{name} is an empty file.")
        try:
            image = _identified(source, limit)
        except UnidentifiedImageError:
            raise ImageError(_unreadable(source, name)) from None
        except Image.DecompressionBombError:
            raise ImageError(_too_large(name, limit)) from None
        with image:
            _check_size(*image.size, name, limit)
            yield image


def _identified(source: Path | bytes, most_px: int) -> Image.Image:
    if most_px <= MAX_PIXELS or not isinstance(source, Path):
        return Image.open(source if isinstance(source, Path) else io.BytesIO(source), formats=_formats())
    # Pillow's own bound cannot be lifted for one file; the formats themselves have none.
    with source.open("rb") as file:
        start = file.read(16)
    for factory, accept in (Image.OPEN[name] for name in _formats()):
        if accept is None or accept(start) is True:
            with suppress(SyntaxError):  # Pillow's word for "another format"
                return factory(str(source), "")  # type: ignore[arg-type] - which takes a path as well as a file
    raise UnidentifiedImageError(str(source))


@cache
def _formats() -> tuple[str, ...]:
    """The allow-list, as far as this Pillow goes. Only these plugins are loaded; Pillow's own search loads all."""
    for plugin in _PLUGINS.values():
        importlib.import_module(f"PIL.{plugin}ImagePlugin")
    for plugin in _NEWER_PLUGINS.values():
        with suppress(ImportError):
            importlib.import_module(f"PIL.{plugin}ImagePlugin")
    _silence_libtiff()
    return tuple(name for name in (*_PLUGINS, *_NEWER_PLUGINS) if name in Image.OPEN)


def _silence_libtiff() -> None:
    """libtiff writes its complaints about a file to stderr, from C; what matters of them Pillow raises too."""
    with suppress(OSError, AttributeError):  # where Pillow holds it out of reach, as on Windows
        library = ctypes.CDLL(Image.core.__file__)
        library.TIFFSetWarningHandler(None)
        library.TIFFSetErrorHandler(None)


def _check_size(width: int, height: int, name: str, most_px: int) -> None:
    if width * height > most_px:
        raise ImageError(_too_large(name, most_px, width, height))
    if width * height == 0:
        raise ImageError(f"{name} has no pixels: it is {width} x {height}.")


def _decode(
    image: Image.Image, name: str, again: Callable[[], Any] | None = None, most_px: int | None = None
) -> NDArray[np.uint8]:
    """Pixels of an opened image; `again` opens it anew where a second look is needed."""
    _check_size(*image.size, name, MAX_PIXELS if most_px is None else most_px)
    raw_modes = _raw_modes(image)
    image.load()
    # Pillow turns a TIFF by itself and forgets the orientation; so this must come after load().
    turn = _TURNS.get(_orientation(image))
    if image.mode.startswith(("I", "F")):
        image = _gray_8_bit(image, name)
    elif again is not None and any(";16" in mode for mode in raw_modes):
        image = _color_8_bit(image, again)
    rgb = _to_rgb(image)
    return _pixels(rgb if turn is None else rgb.transpose(turn))


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """RGB [H, W, 3] of an image in memory. Pillow would copy it twice more on the way to an array."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top, bottom in bands_of(pixels.shape[:2]):
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


def _orientation(image: Image.Image) -> Any:
    """The EXIF orientation, 1 to 8 in a sound file; nothing of the EXIF is ever written back."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except _TAG_ERRORS:  # tags may be damaged beyond reading where all pixels are well
        return 1


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) before the orientation. Pillow's size of a TIFF is upright or not, by its version."""
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        return int(tags[256]), int(tags[257])
    return image.size


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")  # which copies


def _gray_8_bit(image: Image.Image, name: str) -> Image.Image:
    levels = np.asarray(image)
    if image.mode == "F" or levels.min() < 0 or levels.max() > _WHITES[-1]:
        return Image.fromarray(_stretched(levels, name))
    return Image.fromarray(np.rint(levels * (255 / _white(int(levels.max())))).astype(np.uint8))


def _stretched(levels: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Floats, or integers beyond 16 bits, of which nobody knows the white: from their least to their largest number.

    A NaN or an infinity is black, with a warning; ImageError if there is nothing else.
    """
    rows = [slice(*band) for band in bands_of(levels.shape)]
    low, high, missing = np.inf, -np.inf, 0
    for band in rows:
        finite = levels[band][np.isfinite(levels[band])].astype(np.float64)
        low, high = min(low, finite.min(initial=np.inf)), max(high, finite.max(initial=-np.inf))
        missing += levels[band].size - finite.size
    if missing == levels.size:
        raise ImageError(f"{name} holds no finite number: there is nothing to see in it.")
    if missing:
        told = f"{missing:,} of {levels.size:,} pixels are NaN or infinite"
        warnings.warn(f"{name}: {told}; they are black.", stacklevel=2)
    pixels = np.zeros(levels.shape, np.uint8)
    for band in rows if high > low else ():
        scaled = (levels[band].astype(np.float64) - low) / (high - low)
        pixels[band] = np.rint(np.where(np.isfinite(scaled), scaled, 0) * 255)
    return pixels


def _color_8_bit(image: Image.Image, again: Callable[[], Any]) -> Image.Image:
    """A color image of 16 bits, of which Pillow keeps the high bytes, stretched if it uses 14 bits or fewer."""
    high = np.asarray(image)
    if high[..., :3].max() > _WHITES[-2] >> 8:
        return image
    with again() as other:
        # Read in the other byte order, the high bytes are the low ones.
        other.tile = [_with_args(tile, _other_order(tile[3])) for tile in other.tile]
        low = np.asarray(other)
    bands = [slice(*band) for band in bands_of(high.shape[:2])]  # whole, in float64, it would be eight times the image
    white = _white(max(int(_levels(high[band], low[band]).max()) for band in bands))
    stretched = np.array(high)
    for band in bands:
        stretched[band, ..., :3] = np.rint(_levels(high[band], low[band]) * (255 / white))
    return Image.fromarray(stretched)


def _levels(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[Any]:
    return high[..., :3].astype(np.uint16) << 8 | low[..., :3]


def _with_args(tile: Any, args: Any) -> Any:
    """A tile is a plain tuple before Pillow 11.1."""
    return tile._replace(args=args) if hasattr(tile, "_replace") else (*tile[:3], args)


def _white(largest: int) -> int:
    return next(white for white in _WHITES if largest <= white)


def _raw_modes(image: Image.Image) -> list[str]:
    """How the pixels lie in the file, as Pillow calls it ("RGB;16B"); empty for an image that is in memory."""
    return [mode for tile in getattr(image, "tile", ()) for mode in _words(tile[3])]


def _words(args: Any) -> list[str]:
    return [word for word in ((args,) if isinstance(args, str) else args or ()) if isinstance(word, str)]


def _other_order(args: Any) -> Any:
    if isinstance(args, tuple):
        return tuple(_other_order(word) for word in args)
    swapped = {"B": "L", "L": "B", "N": "B"}  # libtiff gives the machine's order, which is little-endian
    return args[:-1] + swapped[args[-1]] if isinstance(args, str) and ";16" in args else args


def _from_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype != np.uint8:
        raise ImageError(f"An image array must be uint8, not {array.dtype}: {_remedy(array.dtype)}.")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or array.size == 0:
        raise ImageError(
            f"An image array must have the shape [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], not {list(array.shape)}."
        )
    height, width = array.shape[:2]
    _check_size(width, height, "The image", MAX_PIXELS)
    if array.ndim == 2 or array.shape[2] == 1:
        return np.repeat(array.reshape(height, width, 1), 3, axis=2)
    if array.shape[2] == 4:
        return np.array(_to_rgb(Image.fromarray(array)))
    row_bytes, *of_pixel = array.strides
    rows_as_they_are = of_pixel == [3, 1] and row_bytes >= 3 * width
    return array if rows_as_they_are else np.ascontiguousarray(array)


def _remedy(dtype: np.dtype[Any]) -> str:
    if dtype == np.bool_:
        return "convert it with (image * 255).astype(np.uint8)"
    if np.issubdtype(dtype, np.floating):
        return "scale it to 0..255 and convert it with .astype(np.uint8)"
    if dtype == np.uint16:
        return "convert it with (image // 257).astype(np.uint8)"
    return "convert it with .astype(np.uint8) once its values are 0..255"


def _too_large(name: str, most_px: int, width: int = 0, height: int = 0) -> str:
    size = f" ({width} x {height} pixels)" if width else ""
    by_windows = "shrink it, or look at it by windows (samlet segment, samlet everything, samlet label --window)"
    remedy = by_windows if most_px == MAX_PIXELS else "if you trust it, raise --max-megapixels"
    return f"{name}{size} is larger than {most_px // 1_000_000} megapixels: {remedy}."


def _unreadable(source: Path | bytes, name: str) -> str:
    """Why Pillow does not know a file; a TIFF of a kind it cannot decode is described by its tags."""
    content = source.open("rb") if isinstance(source, Path) else io.BytesIO(source)
    with content as file:
        layout = _tiff_layout(file)
    if layout is not None:
        return (
            f"{name} is a TIFF of {layout}; samlet reads unsigned ones of 8 or 16 bits with 1, 3 or 4 bands side by "
            "side, and others of 1 band: convert it."
        )
    formats = "JPEG, PNG, TIFF, WebP, BMP, GIF" + (" or AVIF" if "AVIF" in _formats() else "")
    return f"{name} is not an image that can be read: use {formats}."


def _tiff_layout(file: Any) -> str | None:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    try:
        head = file.read(8)
        if head[:2] not in (b"II", b"MM"):
            return None
        tags = ImageFileDirectory_v2(head + file.read(8) if 43 in head[2:4] else head)
        file.seek(tags.next)
        tags.load(file)
        bits, kinds = tags[258], tags.get(339, (1,))
        bands = int(tags.get(277, 1))
        planes = ", one plane after the other" if tags.get(284) == 2 and bands > 1 else ""
        kind = _TIFF_SAMPLES.get(kinds[0], "numbers")
        return f"{bands} band{'s' if bands > 1 else ''} of {bits[0]}-bit {kind}{planes}"
    except _TAG_ERRORS:
        return None
