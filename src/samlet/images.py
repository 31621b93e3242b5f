"""Images: anything a user calls a picture, as uint8 RGB [H, W, 3].

Decisions: transparency is laid on white; 16-bit gray 0..65535 maps linearly to 0..255; of an animation the first frame
counts; the EXIF orientation is applied; more than 100 megapixels are refused before a pixel is decoded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from samlet.errors import ImageError

MAX_PIXELS = 100_000_000

ImageSource: TypeAlias = str | os.PathLike[str] | Image.Image | NDArray[Any]
"""What `read_image` takes."""


def read_image(source: ImageSource) -> NDArray[np.uint8]:
    """Read a path, a PIL image or a uint8 array ([H, W], [H, W, 1], RGB [H, W, 3], RGBA [H, W, 4]).

    Returns contiguous uint8 RGB [H, W, 3], which is the given array itself where that has this form already.
    Raises ImageError with one sentence for everything that cannot be read.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_pil(source, "The image")
    if isinstance(source, (str, os.PathLike)):
        return _from_path(Path(source))
    raise ImageError(f"An image must be a path, a PIL image or a NumPy array, not {type(source).__name__}.")


def _from_path(path: Path) -> NDArray[np.uint8]:
    try:
        _check_file(path)
        image = Image.open(path)
    except UnidentifiedImageError:
        raise ImageError(f"{path} is not an image that can be read: use JPEG, PNG, TIFF, WebP, BMP or GIF.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(_too_large(str(path))) from None
    except OSError as error:
        raise ImageError(f"{path} cannot be opened: {error.strerror or error}.") from error
    with image:
        return _from_pil(image, str(path))


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ImageError(f"{path} is a folder, not an image file.")
    if not path.exists():
        raise ImageError(f"{path} does not exist.")
    if path.is_file() and path.stat().st_size == 0:
        raise ImageError(f"{path} is an empty file.")


def _from_pil(image: Image.Image, name: str) -> NDArray[np.uint8]:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large(name, width, height))
    if width * height == 0:
        raise ImageError(f"{name} has no pixels: it is {width} x {height}.")
    try:
        upright = ImageOps.exif_transpose(image)
        return np.array(_to_rgb(upright, name))
    except ImageError:
        raise
    except Exception as error:  # a decoder raises whatever a damaged file makes it stumble over
        raise ImageError(f"{name} is damaged or truncated and cannot be decoded ({error}).") from error


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = _to_8_bit(image, name)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _to_8_bit(image: Image.Image, name: str) -> Image.Image:
    levels = np.asarray(image)
    if image.mode == "F" or levels.min() < 0 or levels.max() > 65535:
        raise ImageError(f"{name} has pixels of 32 bits (mode {image.mode}): convert it to 8 or 16 bits a channel.")
    return Image.fromarray(np.rint(levels / 257).astype(np.uint8))


def _from_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype != np.uint8:
        raise ImageError(f"An image array must be uint8, not {array.dtype}: {_remedy(array.dtype)}.")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or array.size == 0:
        raise ImageError(
            f"An image array must have the shape [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], not {list(array.shape)}."
        )
    height, width = array.shape[:2]
    if height * width > MAX_PIXELS:
        raise ImageError(_too_large("The image", width, height))
    if array.ndim == 2 or array.shape[2] == 1:
        return np.repeat(array.reshape(height, width, 1), 3, axis=2)
    if array.shape[2] == 4:
        return np.array(_to_rgb(Image.fromarray(array), "The image"))
    return np.ascontiguousarray(array)


def _remedy(dtype: np.dtype[Any]) -> str:
    if dtype == np.bool_:
        return "convert it with (image * 255).astype(np.uint8)"
    if np.issubdtype(dtype, np.floating):
        return "scale it to 0..255 and convert it with .astype(np.uint8)"
    if dtype == np.uint16:
        return "convert it with (image // 257).astype(np.uint8)"
    return "convert it with .astype(np.uint8) once its values are 0..255"


def _too_large(name: str, width: int = 0, height: int = 0) -> str:
    size = f" ({width} x {height} pixels)" if width else ""
    return f"{name}{size} is larger than {MAX_PIXELS // 1_000_000} megapixels: shrink it or cut it into tiles."
