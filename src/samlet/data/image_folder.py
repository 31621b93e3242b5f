"""Opens folders of images; an image with an SA-1B record (`NAME.json`) beside it brings its masks along."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import ExifTags, Image

from samlet.data.sa1b import read_record
from samlet.data.sample import Sample, source_of
from samlet.errors import DataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height


def open_folders(paths: Sequence[str | Path]) -> list[Sample]:
    """Every image of several folders, folder by folder, by file name. Records are read and checked, pixels are not.

    Raises DataError for a missing or empty folder, a damaged record, a record without image, or one name used twice.
    """
    samples = [sample for path in paths for sample in open_folder(path)]
    seen: dict[str, Sample] = {}
    for sample in samples:
        first = seen.setdefault(sample.name, sample)
        if first is not sample:
            raise DataError(f"{first.image} and {sample.image} have the same name {sample.name!r}; rename one.")
    return samples


def open_folder(path: str | Path) -> list[Sample]:
    """The images of one folder (not of its sub-folders) by file name; errors as `open_folders`."""
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give one that holds images (and NAME.json beside NAME.jpg).")
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    records = {file.stem: file for file in files if file.suffix == ".json"}
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise DataError(f"{folder} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))}).")
    orphans = sorted(set(records) - {image.stem for image in images})
    if orphans:
        raise DataError(f"{folder}: {len(orphans)} records have no image, the first is {records[orphans[0]].name}.")
    return [read_record(records[i.stem], i) if i.stem in records else _plain_sample(i) for i in images]


def _plain_sample(path: Path) -> Sample:
    try:
        with Image.open(path) as image:
            width, height = image.size
            if image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS:
                width, height = height, width
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image: {error}.") from error
    return Sample(path.stem, source_of(path.stem), path, (height, width))
