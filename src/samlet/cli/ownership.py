"""Nothing of the user's is overwritten: what the verbs check before the first image."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from samlet.errors import ImageError, OutputError
from samlet.files import output_error, sha256_of
from samlet.marks import is_our_png, is_our_record, is_unmarked_record, photo_of, read_record

OVERWRITE = "Replace files in the way that samlet did not write, or wrote for another photo."
# segment_anything's own script has the same columns, and writes them into folders of other names.
TABLE_COLUMNS = (
    "id", "area", "bbox_x0", "bbox_y0", "bbox_w", "bbox_h", "point_input_x", "point_input_y", "predicted_iou",
    "stability_score", "crop_box_x0", "crop_box_y0", "crop_box_w", "crop_box_h",
)  # fmt: skip
TABLE_START = ",".join(TABLE_COLUMNS).encode() + b"\n"
OTHER_FORMATS = "other_formats"  # of a record: the names of the files beside it that say the same, and their sha256
REMEDY = "choose another --output, or give --overwrite to replace it"


def check_images(images: Sequence[Path]) -> None:
    """`ImageError` for the first that is no file."""
    for image in images:
        with readable(image):
            if image.is_file():
                continue
            there = "is a device or a pipe, not an image file" if image.exists() else "does not exist"
            raise ImageError(f"{image} is a folder: name image files." if image.is_dir() else f"{image} {there}.")


@contextmanager
def readable(image: Path) -> Iterator[None]:
    """`ImageError` for the `OSError` of a photo that cannot be read."""
    try:
        yield
    except OSError as error:
        raise ImageError(f"{image} cannot be opened: {error.strerror or error}.") from error


def check_inputs_stay(images: Iterable[Path], outputs: Iterable[tuple[Path, Path]]) -> None:
    """`OutputError` if a photo of this call is among the outputs, which are pairs of a photo and a path."""
    inputs = {_identity(image) for image in images}
    for image, path in outputs:
        identity = _identity(path)
        if identity is not None and identity in inputs:
            raise OutputError(f'The results of "{image}" would overwrite the image "{path}": choose another --output.')


def check_replaceable(image: Path, record: Path, paths: Sequence[Path], overwrite: bool) -> None:
    """`OutputError` if a result of `image` would replace anything but samlet's own results of it.

    `overwrite` lets it replace any file, though never a folder, a link or a device.
    """
    for path in paths:
        _check_kind(path)
    if overwrite:
        return
    there = read_record(record) or {}
    photo = photo_of(there)
    with readable(image):
        elsewhere = photo is not None and photo.is_elsewhere(image, record.parent)
    if photo is not None and elsewhere:
        raise OutputError(f'"{record}" holds the masks of another photo, "{photo.path}": {REMEDY}.')
    unmarked = is_unmarked_record(there)
    for path in paths:
        if path.exists() and not (is_our_record(there) if path == record else _is_ours(path, there, unmarked)):
            raise OutputError(f'"{path}" was not written by samlet, or was changed since: {REMEDY}.')


def _is_ours(path: Path, record: Mapping[str, Any], unmarked: bool) -> bool:
    if path.suffix == ".csv":
        return _is_our_table(path)
    if path.suffix == ".png":
        return unmarked or is_our_png(path)
    digests = record.get(OTHER_FORMATS)
    return isinstance(digests, dict) and is_our_record(record) and digests.get(path.name) == sha256_of(path)


def _is_our_table(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.readline(len(TABLE_START)) == TABLE_START
    except OSError:
        return False


def _check_kind(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise output_error(path, error) from error
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a link" if stat.S_ISLNK(mode) else "a device or a pipe"
        raise OutputError(f'Cannot write "{path}": {what} is in the way: move it, or choose another --output.')


def _identity(path: Path) -> tuple[int, int] | None:
    """What two names of one file have in common; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
