"""Opens folders of images; an image with an SA-1B record (`NAME.json`) beside it brings its masks along."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, Image

from samlet.data.sa1b import read_record
from samlet.data.sample import Opened, Sample, check_names, source_of
from samlet.errors import DataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height


def open_folders(paths: Sequence[str | Path]) -> list[Sample]:
    """Every image of several folders, folder by folder, by file name. Records are read and checked, pixels are not.

    Raises DataError for a missing or empty folder, a damaged record, a record without image, or one name used twice.
    """
    samples = [sample for path in paths for sample in open_folder(path)]
    check_names(samples)
    return samples


def open_folder(path: str | Path) -> list[Sample]:
    """The images of one folder (not of its sub-folders) by file name; errors as `open_folders`."""
    samples, missing = read_folder(Path(path))
    if missing:
        raise DataError(f"{path}: {len(missing)} records have no image, the first is {missing[0]}.")
    return samples


def read_folder(folder: Path) -> Opened:
    """The images of one folder by file name, and the names of the records whose image is missing."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give one that holds images (and NAME.json beside NAME.jpg).")
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    records = {file.stem: file for file in files if file.suffix == ".json"}
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise DataError(f"{folder} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))}).")
    orphans = sorted(set(records) - {image.stem for image in images})
    samples = [read_record(records[i.stem], i) if i.stem in records else _plain_sample(i) for i in images]
    return Opened(samples, [records[orphan].name for orphan in orphans])


def upright_size(file: Path | BinaryIO, where: str) -> tuple[int, int]:
    """(height, width) of an image as it is read, EXIF rotation applied; DataError calls it `where`."""
    try:
        with Image.open(file) as image:
            width, height = image.size
            sideways = image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{where} cannot be read as an image: {error}.") from error
    return (width, height) if sideways else (height, width)


def _plain_sample(path: Path) -> Sample:
    return Sample(path.stem, source_of(path.stem), path, upright_size(path, str(path)))
